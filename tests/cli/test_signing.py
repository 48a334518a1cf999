"""Keys that sign, from the console: made, used, exchanged; and what is no such key."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Called, Typed


def written(name: str, text: str) -> None:
    Path(name).write_text(text)


def mode_of(name: str) -> int:
    return Path(name).stat().st_mode & 0o777


async def test_the_life_of_a_key_that_signs(called: Called) -> None:
    for name in ("old", "new"):
        written(f"{name}.pub", (await called("keys", "pair", f"{name}.pem")).stdout)
        assert mode_of(f"{name}.pem") == 0o600
    made = await called("keys", "create", "app", "--scope", "*", "--public-key", "old.pub")
    key_id = made.stdout.strip()
    assert made.stderr == f"{key_id} (app): *; its calls are signed\n"

    async def listed(pem: str) -> list[list[str]]:
        done = await called("keys", "list", "--sign-as", key_id, "--signing-key", pem)
        return [line.split() for line in done.stdout.splitlines()[1:]]

    assert ["admin", "signatures" in (await listed("old.pem"))[1]] == ["admin", True]
    assert (await called("chat", "--sign-as", key_id, "--signing-key", "old.pem", "hi")).stdout == "hi\n"
    rotated = await called("keys", "rotate", key_id, "--public-key", "new.pub", "--overlap", "1h")
    assert rotated.stdout.strip() == key_id
    assert len(await listed("old.pem")) == 2


async def test_what_cannot_sign_is_told(called: Called, typed: Typed) -> None:
    written("no.pem", "no key")
    assert typed("keys", "pair", "own.pem").exit_code == 0
    again = typed("keys", "pair", "own.pem")
    assert (again.exit_code, again.stderr) == (2, "trunkline: own.pem cannot be written: File exists\n")
    told = [
        await called("keys", "list", "--sign-as", "x"),
        await called("keys", "list", "--sign-as", "x", "--signing-key", "no.pem"),
        await called("keys", "list", "--sign-as", "x", "--signing-key", "none.pem"),
        await called("keys", "create", "app", "--public-key", "own.pem"),
        await called("keys", "create", "app", "--public-key", "none.pem"),
    ]
    assert [(each.exit_code, each.stderr) for each in told] == [
        (2, "trunkline: --sign-as and --signing-key: give both or none\n"),
        (2, "trunkline: --signing-key: no.pem is no Ed25519 private key in PEM without a password\n"),
        (2, "trunkline: --signing-key: none.pem cannot be read: No such file or directory\n"),
        (2, "trunkline: --public-key: own.pem is no Ed25519 public key in PEM\n"),
        (2, "trunkline: --public-key: none.pem cannot be read: No such file or directory\n"),
    ]
    stranger = await called("keys", "list", "--sign-as", "x" * 12, "--signing-key", "own.pem")
    assert (stranger.exit_code, stranger.stderr.startswith("trunkline: AUTH_INVALID: ")) == (1, True)
