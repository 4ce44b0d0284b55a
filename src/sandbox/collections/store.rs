//! The collections' SQL: one table for all of them, every row one JSON object of one tenant.

use std::fmt::Write as _;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool};
use time::OffsetDateTime;

use super::{
    query::{Filter, Operand, Order, Selection, Test},
    schema::{CREATED_AT, Collection, Field, ID, UPDATED_AT},
    text::{fold, stamp},
};

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS records (
        collection TEXT NOT NULL,
        id INTEGER NOT NULL,
        tenant TEXT NOT NULL,
        data TEXT NOT NULL,
        search TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (collection, id)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS records_by_tenant ON records (collection, tenant, id);
    CREATE TABLE IF NOT EXISTS record_ids (
        collection TEXT PRIMARY KEY,
        last INTEGER NOT NULL
    ) STRICT;
";

const COLUMNS: &str = "id, data, created_at, updated_at";

/// One record of a collection.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) collection: &'static Collection,
    pub(crate) id: i64,
    data: Map<String, Value>,
    created_at: String,
    updated_at: String,
}

impl Record {
    /// The value of a field, null if it has none.
    pub(crate) fn value(&self, field: &Field) -> Value {
        match field {
            field if field == &ID => self.id.into(),
            field if field == &CREATED_AT => self.created_at.as_str().into(),
            field if field == &UPDATED_AT => self.updated_at.as_str().into(),
            field => self.data.get(field.name).cloned().unwrap_or_default(),
        }
    }

    /// A strong entity tag: another one after every change.
    pub(crate) fn etag(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.id.to_be_bytes());
        hash.update(&self.updated_at);
        hash.update(Value::Object(self.data.clone()).to_string());
        format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&hash.finalize()[..15]))
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.collection.fields();
        serializer.collect_map(fields.map(|field| (field.name, self.value(field))))
    }
}

/// What a client says the record must still be before it is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// Nothing was said, or `If-Match: *`.
    Exists,
    /// `If-Match` with these tags.
    OneOf(Vec<String>),
}

impl Precondition {
    fn holds(&self, record: &Record) -> bool {
        match self {
            Self::Exists => true,
            Self::OneOf(tags) => tags.contains(&record.etag()),
        }
    }
}

/// Why a record was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error("there is no such record")]
    Missing,
    #[error("the record has changed since it was read")]
    Stale,
    #[error(transparent)]
    Store(#[from] sqlx::Error),
}

/// Rows that share a value, added up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Total {
    pub(crate) key: String,
    pub(crate) count: i64,
    pub(crate) sum: f64,
}

/// Makes the tables where they are missing.
pub(super) async fn create_tables(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(TABLES).execute(pool).await.map(drop)
}

/// Whether seed rows were ever put on a shelf.
pub(super) async fn is_seeded(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM record_ids)").fetch_one(connection).await
}

/// One collection as one tenant sees it. All reading and writing starts here, so that no query can
/// forget the tenant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shelf<'a> {
    pub(super) pool: &'a SqlitePool,
    pub(crate) collection: &'static Collection,
    pub(super) tenant: &'a str,
}

impl Shelf<'_> {
    /// How many rows are selected.
    pub(crate) async fn count(&self, selection: &Selection) -> Result<i64, sqlx::Error> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT count(*) FROM records");
        self.push_where(&mut query, selection);
        query.build_query_scalar().fetch_one(self.pool).await
    }

    /// The selected rows from `offset` on.
    pub(crate) async fn list(
        &self,
        selection: &Selection,
        limit: u32,
        offset: u64,
    ) -> Result<Vec<Record>, sqlx::Error> {
        let mut query = QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM records"));
        self.push_where(&mut query, selection);
        push_order(&mut query, &selection.ordering);
        query.push(" LIMIT ").push_bind(i64::from(limit));
        query.push(" OFFSET ").push_bind(i64::try_from(offset).unwrap_or(i64::MAX));
        let rows: Vec<Row> = query.build_query_as().fetch_all(self.pool).await?;
        rows.into_iter().map(|row| self.record(row)).collect()
    }

    /// The record of this id.
    pub(crate) async fn get(&self, id: i64) -> Result<Option<Record>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        self.get_on(&mut connection, id).await
    }

    /// The selected rows added up by the values of a field, the greatest sum first.
    pub(crate) async fn totals(
        &self,
        selection: &Selection,
        by: Grouping,
        measure: Option<&Field>,
    ) -> Result<Vec<Total>, sqlx::Error> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT coalesce(CAST(");
        by.push_key(&mut query);
        query.push(" AS TEXT), ''), count(*), CAST(coalesce(sum(");
        match measure {
            Some(field) => push_column(&mut query, field),
            None => _ = query.push("0"),
        }
        query.push("), 0) AS REAL) FROM records");
        self.push_where(&mut query, selection);
        query.push(" GROUP BY 1 ORDER BY 3 DESC, 2 DESC, 1");
        let rows: Vec<(String, i64, f64)> = query.build_query_as().fetch_all(self.pool).await?;
        Ok(rows.into_iter().map(|(key, count, sum)| Total { key, count, sum }).collect())
    }

    /// Puts a new record on the shelf.
    pub(crate) async fn create(&self, data: Map<String, Value>) -> Result<Record, sqlx::Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let now = stamp(OffsetDateTime::now_utc());
        let id = self.reserve_ids(&mut transaction, 1).await?;
        let record = Record {
            collection: self.collection,
            id,
            data,
            created_at: now.clone(),
            updated_at: now,
        };
        self.insert(&mut transaction, std::slice::from_ref(&record)).await?;
        transaction.commit().await?;
        Ok(record)
    }

    /// Writes `changes` over the record of this id.
    pub(crate) async fn change(
        &self,
        id: i64,
        precondition: &Precondition,
        changes: Map<String, Value>,
    ) -> Result<Record, ChangeError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let mut record = self.require(&mut transaction, id, precondition).await?;
        record.data.extend(changes);
        record.updated_at = stamp(OffsetDateTime::now_utc());
        sqlx::query(
            "UPDATE records SET data = ?, search = ?, updated_at = ? \
             WHERE collection = ? AND tenant = ? AND id = ?",
        )
        .bind(Value::Object(record.data.clone()).to_string())
        .bind(search_text(self.collection, &record.data))
        .bind(&record.updated_at)
        .bind(self.collection.path())
        .bind(self.tenant)
        .bind(id)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(record)
    }

    /// Takes the record of this id away; its id is never given again.
    pub(crate) async fn delete(
        &self,
        id: i64,
        precondition: &Precondition,
    ) -> Result<(), ChangeError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        self.require(&mut transaction, id, precondition).await?;
        sqlx::query("DELETE FROM records WHERE collection = ? AND tenant = ? AND id = ?")
            .bind(self.collection.path())
            .bind(self.tenant)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Puts seed rows on the shelf, their ids following on.
    pub(super) async fn fill(
        &self,
        connection: &mut SqliteConnection,
        rows: Vec<SeedRow>,
    ) -> Result<(), sqlx::Error> {
        let first = self.reserve_ids(connection, rows.len()).await?;
        let records: Vec<_> = (first..)
            .zip(rows)
            .map(|(id, row)| Record {
                collection: self.collection,
                id,
                data: row.data,
                created_at: row.created_at,
                updated_at: row.updated_at,
            })
            .collect();
        // SQLite takes 32766 bound values in a statement; these are seven a row.
        for records in records.chunks(500) {
            self.insert(connection, records).await?;
        }
        Ok(())
    }

    async fn require(
        &self,
        connection: &mut SqliteConnection,
        id: i64,
        precondition: &Precondition,
    ) -> Result<Record, ChangeError> {
        let record = self.get_on(connection, id).await?.ok_or(ChangeError::Missing)?;
        if precondition.holds(&record) { Ok(record) } else { Err(ChangeError::Stale) }
    }

    async fn get_on(
        &self,
        connection: &mut SqliteConnection,
        id: i64,
    ) -> Result<Option<Record>, sqlx::Error> {
        let mut query = QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM records"));
        self.push_where(&mut query, &Selection::default());
        query.push(" AND id = ").push_bind(id);
        let row: Option<Row> = query.build_query_as().fetch_optional(connection).await?;
        row.map(|row| self.record(row)).transpose()
    }

    /// The first of `many` ids that nobody else gets.
    async fn reserve_ids(
        &self,
        connection: &mut SqliteConnection,
        many: usize,
    ) -> Result<i64, sqlx::Error> {
        let many = i64::try_from(many).unwrap_or(i64::MAX);
        let last: i64 = sqlx::query_scalar(
            "INSERT INTO record_ids (collection, last) VALUES (?, ?) \
             ON CONFLICT (collection) DO UPDATE SET last = last + excluded.last RETURNING last",
        )
        .bind(self.collection.path())
        .bind(many)
        .fetch_one(connection)
        .await?;
        Ok(last - many + 1)
    }

    async fn insert(
        &self,
        connection: &mut SqliteConnection,
        records: &[Record],
    ) -> Result<(), sqlx::Error> {
        let mut query = QueryBuilder::<Sqlite>::new(format!(
            "INSERT INTO records (collection, tenant, search, {COLUMNS}) "
        ));
        query.push_values(records, |mut row, record| {
            row.push_bind(self.collection.path())
                .push_bind(self.tenant)
                .push_bind(search_text(self.collection, &record.data))
                .push_bind(record.id)
                .push_bind(Value::Object(record.data.clone()).to_string())
                .push_bind(record.created_at.as_str())
                .push_bind(record.updated_at.as_str());
        });
        query.build().execute(connection).await.map(drop)
    }

    fn push_where(&self, query: &mut QueryBuilder<Sqlite>, selection: &Selection) {
        query.push(" WHERE collection = ").push_bind(self.collection.path());
        query.push(" AND tenant = ").push_bind(self.tenant);
        for filter in &selection.filters {
            query.push(" AND ");
            push_filter(query, filter);
        }
        for term in &selection.terms {
            query.push(" AND instr(search, ").push_bind(term.as_str()).push(") > 0");
        }
    }

    fn record(&self, (id, data, created_at, updated_at): Row) -> Result<Record, sqlx::Error> {
        let data =
            serde_json::from_str(&data).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Record { collection: self.collection, id, data, created_at, updated_at })
    }
}

type Row = (i64, String, String, String);

/// A row to seed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SeedRow {
    pub(super) data: Map<String, Value>,
    pub(super) created_at: String,
    pub(super) updated_at: String,
}

/// What rows are added up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// All rows together.
    Nothing,
    /// Each value of a field.
    Value(&'static Field),
    /// Each month of a date.
    Month(&'static Field),
}

impl Grouping {
    fn push_key(self, query: &mut QueryBuilder<Sqlite>) {
        match self {
            Self::Nothing => _ = query.push("''"),
            Self::Value(field) => push_column(query, field),
            Self::Month(field) => {
                query.push("substr(");
                push_column(query, field);
                query.push(", 1, 7)");
            }
        }
    }
}

/// The text a search looks through.
fn search_text(collection: &Collection, data: &Map<String, Value>) -> String {
    let mut text = String::new();
    for field in collection.own.iter().filter(|field| field.kind.is_searchable()) {
        if let Some(value) = data.get(field.name).and_then(Value::as_str) {
            // Writing to a string cannot fail.
            _ = writeln!(text, "{}", fold(value));
        }
    }
    text
}

/// The SQL that reads a field. Names come from the schema and are bound all the same.
fn push_column(query: &mut QueryBuilder<Sqlite>, field: &Field) {
    if [&ID, &CREATED_AT, &UPDATED_AT].contains(&field) {
        query.push(field.name);
    } else {
        query.push("json_extract(data, ").push_bind(format!("$.{}", field.name)).push(")");
    }
}

fn push_filter(query: &mut QueryBuilder<Sqlite>, filter: &Filter) {
    match &filter.test {
        Test::Is(value) => push_comparison(query, filter.field, " = ", value),
        Test::AtLeast(value) => push_comparison(query, filter.field, " >= ", value),
        Test::AtMost(value) => push_comparison(query, filter.field, " <= ", value),
        Test::Above(value) => push_comparison(query, filter.field, " > ", value),
        Test::Below(value) => push_comparison(query, filter.field, " < ", value),
        Test::OneOf(values) => {
            push_column(query, filter.field);
            query.push(" IN (");
            for (at, value) in values.iter().enumerate() {
                query.push(if at == 0 { "" } else { ", " });
                push_operand(query, value);
            }
            query.push(")");
        }
        Test::Contains(text) => {
            query.push("instr(lower(");
            push_column(query, filter.field);
            // SQLite's lower() knows ASCII only; so must the other side.
            query.push("), ").push_bind(text.to_ascii_lowercase()).push(") > 0");
        }
    }
}

fn push_comparison(
    query: &mut QueryBuilder<Sqlite>,
    field: &Field,
    operator: &'static str,
    value: &Operand,
) {
    push_column(query, field);
    query.push(operator);
    push_operand(query, value);
}

fn push_operand(query: &mut QueryBuilder<Sqlite>, value: &Operand) {
    match value {
        Operand::Text(text) => query.push_bind(text.as_str()),
        Operand::Number(number) => query.push_bind(*number),
    };
}

fn push_order(query: &mut QueryBuilder<Sqlite>, ordering: &[Order]) {
    query.push(" ORDER BY ");
    for order in ordering {
        push_column(query, order.field);
        query.push(if order.field.kind.is_searchable() { " COLLATE NOCASE" } else { "" });
        query.push(if order.descending { " DESC, " } else { ", " });
    }
    query.push("id");
}
