// A page of others that is checked strictly, against the package as it is installed: its built types.

import {
  connect,
  InvalidSound,
  Refused,
  SessionEnded,
  type Avatar,
  type Played,
  type VisavisAvatar,
} from "@visavis/client";
import "@visavis/client/element";
import { fromElevenLabs, readDictionary } from "@visavis/client/timings";

export async function show(track: MediaStreamTrack, dictionary: string, pcm: Int16Array): Promise<Avatar> {
  const avatar = await connect({
    server: "https://avatars.example.com",
    session: "sess_1",
    tokens: async (purpose: "watch" | "speak" | "control") => `vvt_${purpose}`,
    on: { ended: ({ reason }) => console.log(reason.length) },
  });
  const speech = await avatar.speakFrom(track);
  speech.stop();
  const alignment = { characters: ["a"], character_start_times_seconds: [0], character_end_times_seconds: [0.1] };
  const played: Played = await avatar
    .speak({ pcm, ...fromElevenLabs(alignment, readDictionary(dictionary)) }, 24_000)
    .catch((error: unknown) => {
      if (error instanceof Refused) console.log(error.code.length);
      if (error instanceof SessionEnded) console.log(error.reason.length);
      if (error instanceof InvalidSound) console.log(error.message);
      throw error;
    });
  console.log(played.positionS.toFixed(2), played.interrupted);
  return avatar;
}

export function watch(): void {
  const element: VisavisAvatar | null = document.querySelector("visavis-avatar");
  if (element === null) return;
  element.muted = false;
  element.speakToken = "vvt_1";
  element.addEventListener("state", ({ detail }) => detail === "live");
  element.addEventListener("ended", ({ detail }) => console.log(detail.reason.length));
  element.addEventListener("error", ({ detail }) => console.log(detail.message));
  // @ts-expect-error: there is no such state
  element.addEventListener("state", ({ detail }) => detail === "asleep");
  // @ts-expect-error: a name is no number
  element.session = 1;
}
