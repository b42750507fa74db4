// The way in: a sign-in link, a kept token or the form; then the live page.
import "@fontsource-variable/inter/index.css";
import "./style.css";

import { need, write } from "./dom.ts";
import { LivePage } from "./live.ts";
import { dropToken, keepToken, login, storedToken, takeCode } from "./session.ts";

declare global {
  interface Window {
    readonly odograph: object;
  }
}

const app = need("app", HTMLElement);
const gate = need("gate", HTMLElement);
const form = need("sign-in", HTMLFormElement);
const field = need("token", HTMLInputElement);
const fault = need("fault", HTMLElement);

let page: LivePage | null = null;

/** A page that has ended is not reused: the map and all state of the former person go with the document. */
function signOut(why: string): void {
  dropToken();
  page?.stop();
  if (why === "") location.reload();
  else ask(why);
}

function ask(why: string): void {
  app.hidden = true;
  gate.hidden = false;
  write(fault, why);
  field.value = "";
  field.focus();
}

function enter(token: string): void {
  if (page !== null) return location.reload();
  gate.hidden = true;
  app.hidden = false;
  page = new LivePage(token, signOut);
  void page.start();
}

async function begin(code: string | null): Promise<void> {
  const kept = storedToken();
  if (code === null) return kept === null ? ask("") : enter(kept);
  const answer = await login(code);
  if ("refused" in answer) return ask(answer.refused);
  keepToken(answer.token);
  enter(answer.token);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const token = field.value.trim();
  if (token === "") return;
  keepToken(token);
  enter(token);
});
need("sign-out", HTMLElement).addEventListener("click", () => signOut(""));
window.addEventListener("hashchange", () => {
  const code = takeCode();
  if (code !== null) void begin(code);
});
Object.defineProperty(window, "odograph", { get: () => page?.debug ?? null });
void begin(takeCode());
