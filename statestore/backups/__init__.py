"""Backups of both databases: verified copies with a manifest, their rotation, and putting them back."""

from statestore.backups.copies import copy_to
from statestore.backups.directory import Backup, Check, at, described, newest_first
from statestore.backups.manifest import BackupFile, Manifest
from statestore.backups.put_back import drill, restore_to_database, restore_to_file
from statestore.backups.rotation import Rotation, remove, superfluous
from statestore.backups.taking import take
from statestore.backups.verification import verify

__all__ = [
    "Backup", "BackupFile", "Check", "Manifest", "Rotation", "at", "copy_to", "described", "drill", "newest_first",
    "remove", "restore_to_database", "restore_to_file", "superfluous", "take", "verify",
]  # fmt: skip
