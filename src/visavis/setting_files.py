"""Settings that are kept in files instead of environment variables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from visavis.errors import SettingInvalid


class FileSource(PydanticBaseSettingsSource):
    """Settings whose values are in files: `VISAVIS_NAME_FILE` is the path of the value of `VISAVIS_NAME`. Without
    either, the systemd credential `visavis_name` holds it.

    So a secret need not be in the environment, which others of this user can read and child processes may inherit.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the text, the name to call it by, and whether it is JSON. The text is None where there is no file.
        Raises `SettingInvalid`.
        """
        is_json = self.field_is_complex(field)
        variable = f"VISAVIS_{field_name}".upper()
        if path := os.environ.get(f"{variable}_FILE"):
            if os.environ.get(variable):
                raise SettingInvalid(f"{variable} and {variable}_FILE are both set", suggestion="Unset one of them")
            return _read_value(Path(path), f"{variable}_FILE"), f"{variable}_FILE", is_json
        credential = Path(os.environ.get("CREDENTIALS_DIRECTORY", ""), variable.lower())
        if "CREDENTIALS_DIRECTORY" in os.environ and not os.environ.get(variable) and credential.exists():
            return _read_value(credential, str(credential)), str(credential), is_json
        return None, variable, is_json

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for field_name, field in self.settings_cls.model_fields.items():
            text, name, is_json = self.get_field_value(field, field_name)
            if text is not None:
                try:
                    values[field_name] = self.prepare_field_value(field_name, field, text, is_json)
                except ValueError:
                    raise SettingInvalid(f"{name}: the file does not hold JSON") from None
        return values


def _read_value(path: Path, name: str) -> str:
    """Return the text of a file without the end of its last line. Raises `SettingInvalid`."""
    try:
        text = path.read_text(encoding="utf-8-sig").strip("\r\n")
    except OSError as error:
        raise SettingInvalid(f"{name}: {path} cannot be read: {error.strerror}") from error
    except ValueError:
        raise SettingInvalid(f"{name}: {path} is not UTF-8 text") from None
    if not text:
        raise SettingInvalid(f"{name}: {path} is empty")
    return text
