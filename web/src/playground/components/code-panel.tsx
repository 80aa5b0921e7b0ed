import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { format, wantedOutput } from "../scene";
import { channelAddress, lookId, session } from "../state";
import { curlOf, javascriptOf } from "../snippets";
import { CopyButton } from "./copy-button";

export function CodePanel(): JSX.Element {
  const [language, setLanguage] = useState<"curl" | "javascript">("curl");
  const facts = {
    output: wantedOutput(),
    picture: format.value,
    origin: location.origin,
    lookId: lookId.value === "" ? "LOOK_ID" : lookId.value,
    sessionId: session.value?.session_id ?? "SESSION_ID",
    channelAddress: channelAddress.value === "" ? "WS_URI" : channelAddress.value,
  };
  const code = language === "curl" ? curlOf(facts) : javascriptOf(facts);
  return (
    <>
      <div class="filters">
        <select aria-label="Language" value={language} onChange={(event) => setLanguage(event.currentTarget.value as "curl" | "javascript")}>
          <option value="curl">curl</option>
          <option value="javascript">JavaScript</option>
        </select>
        <span class="spring" />
        <CopyButton label="Copy the code" text={() => code} />
      </div>
      <pre class="code" tabIndex={0}>
        {code}
      </pre>
    </>
  );
}
