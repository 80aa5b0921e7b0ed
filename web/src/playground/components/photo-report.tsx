// The server's report on the photo that became an avatar: warnings first, other remarks below them.

import type { JSX } from "preact";
import { closeReport } from "../actions/photos";
import { photoReport } from "../state/signals";
import type { Remark } from "../wire/types";
import { Icon } from "../../operator/icons";
import { texts } from "../../operator/texts";

const MAX_SHOWN_OPEN = 3; // more remarks than this are folded

export function PhotoReport(): JSX.Element | null {
  const t = texts.value.playground.avatars;
  const report = photoReport.value;
  if (report === null) return null;
  const warnings = report.remarks.filter((remark) => remark.severity === "warning");
  const others = report.remarks.filter((remark) => remark.severity !== "warning");
  return (
    <section class="photo-report" data-verdict={report.verdict} aria-labelledby="photo-report-title">
      <header>
        <h3 id="photo-report-title">{t.verdicts[report.verdict]}</h3>
        <button class="quiet square" type="button" aria-label={t.closeReport} onClick={closeReport}>
          <Icon name="end" />
        </button>
      </header>
      {warnings.length > 0 && <Remarks remarks={warnings} />}
      {others.length > 0 && (
        <details open={warnings.length === 0 && others.length <= MAX_SHOWN_OPEN}>
          <summary>{t.details}</summary>
          <Remarks remarks={others} />
        </details>
      )}
    </section>
  );
}

function Remarks({ remarks }: { remarks: Remark[] }): JSX.Element {
  return (
    <ul>
      {remarks.map((remark) => (
        <li key={remark.code} data-severity={remark.severity}>
          {remark.kind === "guessed" && <span class="guessed">{texts.value.playground.avatars.guessed}</span>}
          {remark.message}.{remark.suggestion !== null && <em> {remark.suggestion}.</em>}
        </li>
      ))}
    </ul>
  );
}
