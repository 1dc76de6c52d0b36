//! The commonest group by far, in one statement: appends of records, and nothing besides. The fence is in the statement,
//! so that there is one way to the server and back.

use std::collections::HashSet;

use liteagent_engine::store::{Append, AppendError};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::{
    append::has_room,
    changes::column,
    db::Db,
    queue::{Group, Outcomes},
};
use crate::database::Error;

/// Whether a group has nothing but records, of different runs.
pub(super) fn is_plain(group: &Group) -> bool {
    let mut runs = HashSet::with_capacity(group.appends.len());
    group.appends.len() == group.len()
        && group
            .appends
            .iter()
            .map(|asked| &asked.work)
            .all(|append| has_only_records(append) && runs.insert(append.run))
}

fn has_only_records(append: &Append) -> bool {
    append.release.is_none()
        && append.consumed.is_empty()
        && append.blobs.is_empty()
        && append.children.is_empty()
        && append.send.is_empty()
        && has_room(append)
        && append.records.iter().zip(append.expected + 1..).all(|(record, seq)| record.seq == seq)
}

/// Appends; the statement is a transaction of its own.
pub(super) async fn append(connection: &mut PgConnection, db: &Db, group: &Group) -> Result<Outcomes, Error> {
    let appends: Vec<(i64, &Append)> = (1..).zip(group.appends.iter().map(|asked| &asked.work)).collect();
    let records: Vec<_> =
        appends.iter().flat_map(|(nth, append)| append.records.iter().map(move |record| (*nth, record))).collect();
    // Rows are locked in the order of their ids, as everywhere, and compared as they are then.
    let text = format!(
        "WITH asked AS MATERIALIZED (SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bigint[], \
         $6::bigint[]) WITH ORDINALITY AS asked (id, epoch, owner, expected, seq, at, nth)), \
         locked AS MATERIALIZED (SELECT id, number, phase, epoch, owner, seq, timeline FROM runs WHERE id = ANY($1) \
         ORDER BY id FOR UPDATE), \
         fitting AS MATERIALIZED (SELECT asked.id, number, asked.seq, asked.at, nth FROM asked JOIN locked USING (id) \
         WHERE phase = 1 AND locked.epoch = asked.epoch AND locked.owner = asked.owner AND locked.seq = asked.expected \
         AND timeline = {}), \
         grown AS (UPDATE runs SET seq = fitting.seq, updated_at = fitting.at FROM fitting WHERE runs.id = fitting.id), \
         written AS (INSERT INTO records (run, seq, at, body) SELECT fitting.number, more.seq, more.at, more.body \
         FROM unnest($7::bigint[], $8::bigint[], $9::bigint[], $10::text[]) AS more (nth, seq, at, body) \
         JOIN fitting USING (nth)) \
         SELECT nth FROM fitting",
        db.timeline
    );
    let query = sqlx::query(AssertSqlSafe(text))
        .bind(column(&appends, |(_, append)| append.run.0))
        .bind(column(&appends, |(_, append)| append.epoch as i64))
        .bind(column(&appends, |(_, append)| append.session.0))
        .bind(column(&appends, |(_, append)| append.expected as i64))
        .bind(column(&appends, |(_, append)| append.expected as i64 + append.records.len() as i64))
        .bind(column(&appends, |(_, append)| append.at))
        .bind(column(&records, |(nth, _)| *nth))
        .bind(column(&records, |(_, record)| record.seq as i64))
        .bind(column(&records, |(_, record)| record.at))
        .bind(column(&records, |(_, record)| &*record.body));
    let fitting = query.fetch_all(connection).await?;
    let fitting = fitting.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<HashSet<i64>, Error>>()?;
    let told = |(nth, _): &(i64, _)| if fitting.contains(nth) { Ok(()) } else { Err(AppendError::Fenced) };
    let appends = appends.iter().map(told).collect();
    Ok(Outcomes { appends, creations: Vec::new(), takes: Vec::new(), sends: Vec::new() })
}
