// Decides when a connection whose picture stands still is lost. Pure.

export interface PictureLook {
  elapsedS: number; // since the look before
  framesDecoded: number; // so far, like the packets
  packetsReceived: number; // of the picture
  connected: boolean; // false: the browser says "disconnected"
  hidden: boolean; // a page in the background decodes no frames, which is no loss
  live: boolean; // whether a picture has been shown
}

const MAX_CONNECTING_S = 10;
const MAX_DISCONNECTED_S = 3; // a shorter network failure ends by itself
const MAX_WITHOUT_FRAME_S = 5; // an idle avatar sends frames too, so a longer gap is a loss
// Packets arrive, so the path is good and too narrow: a new connection would fill it again, and show nothing sooner.
const MAX_INCOMPLETE_S = 15;

export class PictureLoss {
  moving = false; // whether frames were decoded since the look before
  private framesDecoded = 0;
  private packetsReceived = 0;
  private withoutFrameS = 0;
  private withoutPacketS = 0;

  /** Returns whether the connection is lost. */
  check(look: PictureLook): boolean {
    this.moving = look.framesDecoded > this.framesDecoded;
    const arriving = look.packetsReceived > this.packetsReceived;
    this.framesDecoded = look.framesDecoded;
    this.packetsReceived = look.packetsReceived;
    this.withoutFrameS = this.moving || look.hidden ? 0 : this.withoutFrameS + look.elapsedS;
    this.withoutPacketS = arriving || look.hidden ? 0 : this.withoutPacketS + look.elapsedS;
    if (!look.live) return this.withoutFrameS >= MAX_CONNECTING_S;
    const patienceS = look.connected ? MAX_WITHOUT_FRAME_S : MAX_DISCONNECTED_S;
    return this.withoutFrameS >= MAX_INCOMPLETE_S || Math.min(this.withoutFrameS, this.withoutPacketS) >= patienceS;
  }
}
