// The server's addresses, relative to the page: a proxy may serve both below a path of its own.

/** Return the address of `path`, such as `/v1/sessions`, on the server of the page at `page`. */
export function serverAddress(path: string, page: string = location.href): string {
  return new URL(path.replace(/^\//, ""), new URL(".", page)).href;
}
