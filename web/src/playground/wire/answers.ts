// The server's answers, read: their JSON, and what a refusal says.

/**
 * A request that failed. `status` is the HTTP status, or 0 if the server did not answer. `message` and `suggestion` are
 * the server's texts.
 */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly suggestion: string,
    readonly retryAfterS: number | null,
  ) {
    super(message);
  }
}

export function unreachable(): ApiError {
  return new ApiError(0, "UNREACHABLE", "The server does not answer", "", null);
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // for example a proxy's HTML page: `errorOf` then goes by the status
  }
}

/** The code of an answer that the server did not write, for example a proxy's HTML page. */
export const NOT_THE_SERVER = "NOT_THE_SERVER";

// What an answer means that is not the server's own, by its status: title, then suggestion.
const PROXY_ANSWERS: Record<number, [title: string, suggestion: string]> = {
  413: [
    "The file is larger than the proxy in front of the server allows",
    "Send a smaller file, or raise the proxy's limit (nginx: client_max_body_size 11m).",
  ],
  502: ["The proxy cannot reach the server", "The server may be starting, or stopped."],
  503: ["The proxy cannot reach the server", "The server may be starting, or stopped."],
  504: ["The server took longer than the proxy waits", "Try again, or raise the proxy's time limit."],
};

/** Read an error answer. `error` is an object, or a string for a missing key and for the rate limit. */
export function errorOf(status: number, body: unknown, retryAfter: string | null): ApiError {
  const error = body !== null && typeof body === "object" && "error" in body ? body.error : undefined;
  const seconds = Number.parseFloat(retryAfter ?? "");
  const retryAfterS = Number.isFinite(seconds) ? seconds : null;
  if (typeof error === "string") return new ApiError(status, "", error, "", retryAfterS);
  if (error === undefined) {
    const unknown = [
      `Something between this page and the server answered ${status}`,
      "Look at the proxy's log.",
    ] as const;
    const [title, suggestion] = PROXY_ANSWERS[status] ?? unknown;
    return new ApiError(status, NOT_THE_SERVER, title, suggestion, retryAfterS);
  }
  const { code, message, suggestion } = (error ?? {}) as { code?: string; message?: string; suggestion?: string };
  return new ApiError(status, code ?? "", message ?? `The server answered ${status}`, suggestion ?? "", retryAfterS);
}
