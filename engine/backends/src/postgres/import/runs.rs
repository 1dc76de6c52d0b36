//! What of runs is moved: everything but sessions, which end, and cached outputs.

use super::{Content, Moved};

/// The tables of runs in the SQLite file.
pub const TABLES: &[Moved] = {
    use Content::{Bytes, Flag, Number, Text, Uuid};
    &[
        Moved {
            table: "runs",
            columns: &[
                ("id", Uuid),
                ("number", Number),
                ("workflow", Text),
                ("digest", Bytes),
                ("phase", Number),
                ("status", Number),
                ("epoch", Number),
                ("seq", Number),
                ("owner", Uuid),
                ("timeline", Number),
                ("wake_at", Number),
                ("parent_run", Uuid),
                ("parent_node", Text),
                ("parent_attempt", Number),
                ("trigger", Text),
                ("conversation", Text),
                ("subject", Text),
                ("account", Text),
                ("error", Text),
                ("usage", Text),
                ("created_at", Number),
                ("updated_at", Number),
                ("ended_at", Number),
                ("ended", Number),
            ],
            select: "SELECT id, row, workflow, digest, phase, status, epoch, seq, owner, 0, wake_at, parent_run, parent_node, \
                     parent_attempt, trigger, conversation, subject, account, error, usage, created_at, updated_at, \
                     CASE WHEN phase = 3 THEN updated_at END, ended FROM runs ORDER BY row",
            replaces: false,
        },
        Moved {
            table: "ends",
            columns: &[("one", Number), ("place", Number)],
            select: "SELECT 1, coalesce(max(ended), 0) FROM runs",
            replaces: true,
        },
        Moved {
            table: "records",
            columns: &[("run", Number), ("seq", Number), ("at", Number), ("body", Text)],
            select: "SELECT place >> 24, place & 0xffffff, at, body FROM records ORDER BY place",
            replaces: false,
        },
        Moved {
            table: "inbox",
            columns: &[("run", Number), ("id", Text), ("body", Text), ("cancels", Flag)],
            select: "SELECT run, id, body, coalesce(json_extract(body, '$.body.type') = 'cancel', 0) FROM inbox ORDER BY row",
            replaces: false,
        },
        Moved {
            table: "bundles",
            columns: &[("digest", Bytes), ("body", Text)],
            select: "SELECT digest, body FROM bundles",
            replaces: false,
        },
        Moved {
            table: "start_keys",
            columns: &[
                ("caller", Text),
                ("workflow", Text),
                ("key", Text),
                ("body", Bytes),
                ("run", Uuid),
                ("at", Number),
            ],
            select: "SELECT caller, workflow, key, body, run, at FROM start_keys",
            replaces: false,
        },
        Moved {
            table: "holds",
            columns: &[("key", Text), ("number", Number), ("id", Uuid), ("room", Number), ("held", Flag)],
            select: "SELECT key, run, (SELECT id FROM runs WHERE runs.row = run), room, held FROM holds",
            replaces: false,
        },
        Moved {
            table: "turns",
            columns: &[
                ("run", Uuid),
                ("conversation", Text),
                ("after", Uuid),
                ("message", Text),
                ("files", Text),
                ("answer", Text),
                ("at", Number),
                ("rating", Number),
            ],
            select: "SELECT run, conversation, after, message, files, answer, at, rating FROM turns",
            replaces: false,
        },
        Moved {
            table: "conversations",
            columns: &[
                ("id", Text),
                ("variables", Text),
                ("workflow", Text),
                ("title", Text),
                ("head", Uuid),
                ("space", Text),
                ("speaker", Text),
                ("created_at", Number),
                ("updated_at", Number),
            ],
            select: "SELECT id, variables, workflow, title, head, space, user, created_at, updated_at FROM conversations",
            replaces: false,
        },
        Moved {
            table: "usage",
            columns: &[
                ("day", Number),
                ("workflow", Text),
                ("model", Text),
                ("runs", Number),
                ("calls", Number),
                ("input_tokens", Number),
                ("cached_tokens", Number),
                ("output_tokens", Number),
                ("reasoning_tokens", Number),
                ("cost", Number),
                ("unpriced", Number),
            ],
            select: "SELECT day, workflow, model, runs, calls, input_tokens, cached_tokens, output_tokens, reasoning_tokens, \
                     cost, unpriced FROM usage",
            replaces: false,
        },
        Moved {
            table: "spent",
            columns: &[("account", Text), ("day", Number), ("tokens", Number), ("cost", Number)],
            select: "SELECT account, day, tokens, cost FROM spent",
            replaces: false,
        },
        Moved {
            table: "installation",
            columns: &[
                ("one", Number),
                ("id", Text),
                ("epoch", Number),
                ("restored_at", Number),
                ("backup_at", Number),
            ],
            select: "SELECT 1, id, epoch, restored_at, backup_at FROM installation",
            replaces: true,
        },
        Moved {
            table: "blobs",
            columns: &[("run", Uuid), ("digest", Bytes)],
            select: "SELECT run, digest FROM blobs",
            replaces: false,
        },
        Moved {
            table: "files",
            columns: &[
                ("run", Uuid),
                ("id", Text),
                ("name", Text),
                ("mime", Text),
                ("size", Number),
                ("digest", Bytes),
                ("created_at", Number),
            ],
            select: "SELECT run, id, name, mime, size, digest, created_at FROM files",
            replaces: false,
        },
        Moved {
            table: "kv",
            columns: &[("namespace", Text), ("key", Text), ("value", Text), ("version", Number)],
            select: "SELECT namespace, key, value, version FROM kv",
            replaces: false,
        },
    ]
};

/// Sets the sequences of what was moved.
pub const SEQUENCES: &[&str] =
    &["SELECT setval('run_numbers', greatest((SELECT max(number) FROM runs), 1), EXISTS (SELECT FROM runs))"];
