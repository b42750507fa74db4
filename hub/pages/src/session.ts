// Signing in: a one-time code from the link, or a pasted token; kept for this tab only.

const KEY = "odograph.token";

/** The code of a sign-in link. It leaves the address bar, and with it the history, before anything else happens. */
export function takeCode(): string | null {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (location.hash !== "") history.replaceState(null, "", location.pathname + location.search);
  return code;
}

export const storedToken = (): string | null => sessionStorage.getItem(KEY);
export const keepToken = (token: string): void => sessionStorage.setItem(KEY, token);
export const dropToken = (): void => sessionStorage.removeItem(KEY);

/** The token for a code, or a text that says why there is none. */
export async function login(code: string): Promise<{ token: string } | { refused: string }> {
  try {
    const response = await fetch("/v1/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ code }),
    });
    if (response.status === 429) return { refused: "Too many tries. Wait a minute, then ask for a new link." };
    if (!response.ok) return { refused: "This sign-in link was used already, or is too old. Ask the hub for a new one." };
    const body = (await response.json()) as { token?: unknown };
    if (typeof body.token === "string") return { token: body.token };
  } catch {
    return { refused: "The hub cannot be reached. Check the connection and try again." };
  }
  return { refused: "The hub answered in a way that this page does not know." };
}
