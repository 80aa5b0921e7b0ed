// Shows code samples that open a session like the one on this page.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { changedOutput } from "../state/output";
import { channelAddress, format, lookId, output, session } from "../state/signals";
import { serverAddress } from "../../operator/server-address";
import { texts } from "../../operator/texts";
import { curlSample, javascriptSample } from "./code-samples";
import { CopyButton } from "./copy-button";

type Language = "curl" | "javascript";

export function CodePanel(): JSX.Element {
  const t = texts.value.playground.code;
  const [language, setLanguage] = useState<Language>("curl");
  const facts = {
    output: changedOutput(output.value),
    size: format.value,
    server: serverAddress("/").replace(/\/$/, ""),
    lookId: lookId.value || "LOOK_ID",
    sessionId: session.value?.session_id ?? "SESSION_ID",
    channelAddress: channelAddress.value || "WS_URI",
  };
  const code = language === "curl" ? curlSample(facts) : javascriptSample(facts);
  return (
    <>
      <div class="filters">
        <select
          aria-label={t.language}
          value={language}
          onChange={(event) => setLanguage(event.currentTarget.value as Language)}
        >
          <option value="curl">curl</option>
          <option value="javascript">JavaScript</option>
        </select>
        <span class="spring" />
        <CopyButton label={t.copy} text={() => code} />
      </div>
      <pre class="code" tabIndex={0}>
        {code}
      </pre>
    </>
  );
}
