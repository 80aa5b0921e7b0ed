// What was found in the photo that became an avatar, in the server's own words: warnings first, the rest on demand.

import type { JSX } from "preact";
import { photoReport, type Remark } from "../photo";
import { Icon } from "./icons";

const VERDICTS = { good: "A good photo", fair: "A usable photo", poor: "A difficult photo" } as const;

export function PhotoReport(): JSX.Element | null {
  const current = photoReport.value;
  if (current === null) return null;
  const { verdict, remarks } = current.report;
  const warnings = remarks.filter((remark) => remark.severity === "warning");
  const others = remarks.filter((remark) => remark.severity !== "warning");
  return (
    <section class="photo-report" data-verdict={verdict} aria-labelledby="photo-report-title">
      <header>
        <h3 id="photo-report-title">{VERDICTS[verdict]}</h3>
        <button class="quiet square" type="button" aria-label="Dismiss the report" onClick={() => (photoReport.value = null)}>
          <Icon name="end" />
        </button>
      </header>
      {warnings.length > 0 && <Remarks of={warnings} />}
      {others.length > 0 && (
        <details open={warnings.length === 0 && others.length <= 3}>
          <summary>What was found and guessed</summary>
          <Remarks of={others} />
        </details>
      )}
    </section>
  );
}

function Remarks({ of }: { of: Remark[] }): JSX.Element {
  return (
    <ul>
      {of.map((remark) => (
        <li key={remark.code} data-severity={remark.severity}>
          {remark.kind === "guessed" && <span class="guessed">Guessed</span>}
          {remark.message}.{remark.suggestion !== null && <em> {remark.suggestion}.</em>}
        </li>
      ))}
    </ul>
  );
}
