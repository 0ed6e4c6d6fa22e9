"""What is older than the operator wants it kept is gone after the next start."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.bot_process import running
from tests.process.conftest import Stage, local_servers


async def test_old_records_are_removed_and_younger_ones_kept(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        async with running(slack, model.base_url, folder=tmp_path) as bot:
            stage = Stage(slack, model, bot)
            old, young = [await stage.ask(f"[[say {word}]]") for word in ("old", "young")]
            for ts in (old, young):
                await stage.whole(ts)
            await bot.stop()
        with closing(sqlite3.connect(tmp_path / "bot.db")) as file:
            file.execute("UPDATE usage SET at = '2020-01-01 00:00:00.000000' WHERE ts = ?", (old,))
            file.commit()

        async with running(slack, model.base_url, folder=tmp_path, RETENTION_DAYS="30") as bot:
            await bot.says("store.pruned")

        with closing(sqlite3.connect(tmp_path / "bot.db")) as file:
            assert file.execute("SELECT ts FROM usage").fetchall() == [(young,)]
