// @visavis/client/timings: timings of speech services as the channel's phonemes.

export { ofWords, type Pronounce, readDictionary, type TimedWord, type Timings } from "./phonemes.js";
export {
  type AzureViseme,
  type CartesiaTimestamps,
  type ElevenLabsAlignment,
  fromAzure,
  fromCartesia,
  fromElevenLabs,
  fromInworld,
  fromKokoro,
  type InworldTimestampInfo,
  type KokoroToken,
} from "./services.js";
