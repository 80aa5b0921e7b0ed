// @visavis/client: a live avatar in a page, or in Node, that speaks an audio track or PCM.

export { Avatar, type AvatarEvents, type PictureState } from "./avatar/avatar.js";
export { connect, type ConnectOptions } from "./avatar/connect.js";
export type { Purpose, TokenSource } from "./avatar/tokens.js";
export type { DropUntil } from "./avatar/track-gate.js";
export type { SpeakFromOptions, TrackSpeech } from "./avatar/track-speech.js";
export type { SpeakOptions } from "./channel/channel.js";
export {
  ApiKeyRefused,
  ChannelLost,
  InvalidOptions,
  InvalidSound,
  Refused,
  ServerUnreachable,
  SessionEnded,
  TakenOver,
  Unsupported,
  VisavisError,
  WrongToken,
} from "./channel/errors.js";
export type { Alphabet, Emotion, Phoneme, ServerMessage } from "./channel/messages.js";
export type { Pcm, Speech, TimedPcm } from "./channel/speech.js";
export type { Played, Utterance } from "./channel/utterance.js";
export type { AvatarTexts } from "./element/texts.js";
export { type AvatarElementEvents, VisavisAvatar } from "./element/visavis-avatar.js";
export { composeAlpha } from "./matte/compose.js";
export type { Barrier } from "./viewer/barrier.js";
