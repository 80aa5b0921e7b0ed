// The values that cross the wire between this page and the server: REST bodies and channel messages. Types only.

export interface Avatar {
  avatar_id: string;
  name: string;
  preview_img_url: string | null;
  parent_id: string | null;
  is_public: 0 | 1;
}

/** One remark of the server about a photo. */
export interface Remark {
  code: string;
  kind: "found" | "guessed";
  severity: "info" | "warning";
  message: string;
  suggestion: string | null;
}

/** The server's report on a photo. */
export interface PhotoReport {
  verdict: "good" | "fair" | "poor";
  remarks: Remark[];
}

export interface UploadedFace {
  avatar_id: string;
  report?: PhotoReport;
}

/** A point in a picture: x from the left and y from the top, each a fraction of the picture from 0 to 1. */
export type Point = [x: number, y: number];

/** The seven points of a face, by the names that the server uses. */
export type Points = Record<string, Point>;

export interface CreatedSession {
  session_id: string;
  access_token: string;
  daily_room: { url: string; token: string };
}

export type Emotion = "neutral" | "happy" | "sad" | "surprised" | "serious";

export type Background =
  | { type: "photo" }
  | { type: "blur"; strength: number }
  | { type: "color"; color: string }
  | { type: "image"; image: string }
  | { type: "transparent" };

/** How a session looks. */
export interface Output {
  background: Background;
  framing: { zoom: number };
  emotion: { name: Emotion; weight: number };
}

export interface PictureSize {
  width: number; // px
  height: number; // px
}

/** A state that a client may set while the avatar does not speak. */
export type SettableState = "listening" | "thinking";

/** A channel message. `type` decides which other fields it has. */
export type ChannelMessage = { type: string } & Record<string, unknown>;
