// The server's addresses. A proxy may serve them below a path, and the page may lack the slash at the end of that path.

/** Return the address of `path`, such as `/v1/sessions`, on the server that has its icon at `icon`. */
export function serverAddress(path: string, icon: string = pageIcon()): string {
  return new URL(path.replace(/^\//, ""), new URL(".", icon)).href;
}

/** The icon lies in the server's root, and the server writes its address into the page. */
function pageIcon(): string {
  return document.querySelector<HTMLLinkElement>("link[rel=icon]")?.href ?? location.href;
}
