// The avatars of all accounts and of the library.

import type { JSX } from "preact";
import { Icon } from "../../operator/icons";
import { texts } from "../../operator/texts";
import { useListed } from "../actions/loading";
import { ask, notify } from "../actions/tell";
import { Empty, Shown } from "../parts/states";
import { AccountChoice, AccountLink, Heading, More, When } from "../parts/view";
import { api, route } from "../state/signals";
import type { Avatar } from "../wire/types";

export function Avatars(): JSX.Element {
  const t = texts.value.operatorConsole;
  const accountId = route.value.filters.account_id ?? "";
  const listed = useListed(
    accountId,
    (server, cursor) => server.avatars({ account_id: accountId, cursor, limit: "48" }),
    (page) => page.avatars,
  );
  return (
    <>
      <Heading title={t.names.avatars} />
      <div class="filter-row">
        <AccountChoice />
      </div>
      <Shown loaded={listed}>
        {(avatars) =>
          avatars.length === 0 ? (
            <Empty icon="face" title={t.avatars.none}>
              {t.avatars.noneYet}
            </Empty>
          ) : (
            <ul class="avatar-grid">
              {avatars.map((avatar) => (
                <AvatarCard key={avatar.avatar_id} avatar={avatar} changed={listed.reload} />
              ))}
            </ul>
          )
        }
      </Shown>
      <More listed={listed} />
    </>
  );
}

function AvatarCard({ avatar, changed }: { avatar: Avatar; changed: () => void }): JSX.Element {
  const { shared, operatorConsole } = texts.value;
  const t = operatorConsole.avatars;
  const askToDelete = (): void =>
    ask({
      title: t.deleteQuestion(avatar.name),
      text: t.deleteText(avatar.account?.name ?? ""),
      action: shared.delete,
      run: async () => {
        await api.value?.deleteAvatar(avatar.avatar_id);
        notify(t.deleted(avatar.name));
        changed();
      },
    });
  return (
    <li class="card avatar-card">
      <img src={avatar.preview_url} alt="" loading="lazy" />
      <div>
        <strong title={avatar.name}>{avatar.name}</strong>
        <span class="avatar-owner">
          {avatar.account === null ? t.library : <AccountLink account={avatar.account} />}
          {avatar.account !== null && (
            <>
              {" · "}
              <When time={avatar.created_at} />
            </>
          )}
        </span>
      </div>
      {avatar.account !== null && (
        <button
          class="quiet square danger-text"
          type="button"
          aria-label={shared.deleteNamed(avatar.name)}
          title={shared.delete}
          onClick={askToDelete}
        >
          <Icon name="trash" />
        </button>
      )}
    </li>
  );
}
