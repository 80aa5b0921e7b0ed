// A server of channels in the test's own process: a WebSocket class whose other end the test plays.

type Message = { type: string } & Record<string, unknown>;

/** One connection, seen from the server. */
export class FakeConnection {
  readonly received: Message[] = [];
  private waiting: { type: string; resolve(message: Message): void }[] = [];

  constructor(private readonly socket: FakeSocket) {}

  /** Return the first message of this type that was not taken before; wait for it. */
  take(type: string): Promise<Message> {
    const at = this.received.findIndex((message) => message.type === type);
    const [found] = at < 0 ? [] : this.received.splice(at, 1);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve) => this.waiting.push({ type, resolve }));
  }

  say(message: Message): void {
    this.socket.onmessage?.({ data: JSON.stringify(message) });
  }

  close(code: number, reason = ""): void {
    this.socket.closeWith(code, reason);
  }

  /** For FakeSocket. */
  arrived(message: Message): void {
    const at = this.waiting.findIndex(({ type }) => type === message.type);
    const [waiting] = at < 0 ? [] : this.waiting.splice(at, 1);
    if (waiting !== undefined) waiting.resolve(message);
    else this.received.push(message);
  }
}

class FakeSocket {
  readonly OPEN = 1;
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;

  constructor(private readonly opened: (socket: FakeSocket) => FakeConnection) {
    queueMicrotask(() => {
      if (this.readyState === 3) return; // closed before it was open
      this.readyState = this.OPEN;
      this.connection = this.opened(this);
      this.onopen?.();
    });
  }

  private connection: FakeConnection | null = null;

  send(text: string): void {
    this.connection?.arrived(JSON.parse(text) as Message);
  }

  close(): void {
    this.closeWith(1000, "");
  }

  closeWith(code: number, reason: string): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    queueMicrotask(() => this.onclose?.({ code, reason }));
  }
}

export class FakeServer {
  readonly urls: string[] = [];
  private readonly sockets: FakeSocket[] = [];
  private readonly connections: FakeConnection[] = [];
  private waiting: ((connection: FakeConnection) => void)[] = [];

  /** A WebSocket class whose connections lead here. */
  get socketClass(): typeof WebSocket {
    const opened = (socket: FakeSocket): FakeConnection => {
      const connection = new FakeConnection(socket);
      const waiting = this.waiting.shift();
      if (waiting === undefined) this.connections.push(connection);
      else waiting(connection);
      return connection;
    };
    const { urls, sockets } = this;
    return class extends FakeSocket {
      constructor(url: string) {
        super(opened);
        urls.push(url);
        sockets.push(this);
      }
    } as unknown as typeof WebSocket;
  }

  /** How many sockets are open, or about to be. */
  get open(): number {
    return this.sockets.filter(({ readyState }) => readyState !== 3).length;
  }

  /** Open the session of every connection that asks for it. */
  async establishAll(): Promise<never> {
    for (;;) {
      const connection = await this.connected();
      const established = { type: "connection.established", session_id: "sess_1", resumed: false, received: 0 };
      void connection.take("session.init").then(() => connection.say(established));
    }
  }

  /** Wait for the next connection. */
  connected(): Promise<FakeConnection> {
    const found = this.connections.shift();
    return found === undefined ? new Promise((resolve) => this.waiting.push(resolve)) : Promise.resolve(found);
  }
}
