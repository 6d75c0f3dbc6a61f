//! A search in pages, each beginning where the one before ended (`search_after`).
//!
//! Where the server has it, all pages are of one point in time: what is indexed meanwhile moves no borders. Equal times are
//! told apart by `_id`, or by the place in the shard (Elasticsearch 8 may refuse to sort by `_id`), so that none is lost at
//! the border of two pages.

use jiff::Timestamp;
use logrisk_client::elastic::{Client, Method, Unavailable, head, unavailable};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ElasticSettings;

/// Documents of a page, usually about a megabyte.
const PAGE: u32 = 1000;
/// After an answer of more bytes pages are halved: they come on top of the bytes in flight.
const LARGE: usize = 8 << 20;

/// What of an index is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    /// The earliest time, in milliseconds since 1970.
    pub(super) from: Option<i64>,
    /// The latest.
    pub(super) to: i64,
    /// Only so many, from the newest on backwards; otherwise all, from the oldest on.
    pub(super) newest: Option<u32>,
}

/// A document.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) index: String,
    pub(super) id: String,
    pub(super) time: i64,
    pub(super) source: Map<String, Value>,
}

/// A search at work.
pub(super) struct Pages<'a> {
    client: &'a Client,
    index: &'a str,
    is_opensearch: bool,
    /// The point in time, if the server has such.
    point: Option<String>,
    query: Value,
    sort: Value,
    after: Option<Value>,
    left: Option<u32>,
    size: u32,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    pit_id: Option<String>,
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<RawHit>,
}

#[derive(Deserialize)]
struct RawHit {
    #[serde(rename = "_index")]
    index: String,
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_source", default)]
    source: Map<String, Value>,
    sort: Vec<Value>,
}

impl<'a> Pages<'a> {
    /// Begins a search.
    pub(super) async fn open(
        client: &'a Client,
        settings: &'a ElasticSettings,
        stretch: Stretch,
    ) -> Result<Self, Unavailable> {
        let is_opensearch = client.server().await?.is_opensearch;
        let index = settings.index.as_str();
        let point = open_point(client, is_opensearch, index).await?;
        let order = if stretch.newest.is_some() { "desc" } else { "asc" };
        // Whatever a mapping's precision, milliseconds are compared.
        let time = json!({"order": order, "numeric_type": "date", "unmapped_type": "date"});
        let tie = if point.is_some() && !is_opensearch { "_shard_doc" } else { "_id" };
        let mut range = json!({"format": "strict_date_optional_time", "lte": text(stretch.to)});
        if let (Some(range), Some(from)) = (range.as_object_mut(), stretch.from) {
            range.insert("gte".to_owned(), text(from).into());
        }
        let mut filter = vec![json!({"range": {settings.time_field.as_str(): range}})];
        filter.extend(settings.query.clone());
        Ok(Self {
            client,
            index,
            is_opensearch,
            point,
            query: json!({"bool": {"filter": filter}}),
            sort: json!([{settings.time_field.as_str(): time}, {tie: order}]),
            after: None,
            left: stretch.newest,
            size: PAGE,
        })
    }

    /// The next page; none when all is read.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Hit>>, Unavailable> {
        let size = self.left.map_or(self.size, |left| left.min(self.size));
        if size == 0 {
            return Ok(None);
        }
        let mut body =
            json!({"size": size, "query": self.query, "sort": self.sort, "track_total_hits": false});
        if let Some(body) = body.as_object_mut() {
            if let Some(after) = &self.after {
                body.insert("search_after".to_owned(), after.clone());
            }
            if let Some(point) = &self.point {
                body.insert("pit".to_owned(), json!({"id": point, "keep_alive": "5m"}));
            }
        }
        // Half an answer would be taken for the whole.
        let strict = "allow_partial_search_results=false";
        let path = match &self.point {
            Some(_) => format!("/_search?{strict}"),
            None => format!("/{}/_search?{strict}&ignore_unavailable=true", self.index),
        };
        let (status, text) = self.client.json(Method::POST, &path, &body).await?;
        if !status.is_success() {
            return Err(unavailable(status, &text));
        }
        let answer: Answer = serde_json::from_slice(&text).map_err(|error| {
            Unavailable(format!("the answer to a search is none ({error}): {}", head(&text)))
        })?;
        if text.len() > LARGE {
            self.size = (self.size / 2).max(1);
        }
        if let Some(point) = answer.pit_id {
            self.point = Some(point);
        }
        let Some(last) = answer.hits.hits.last() else { return Ok(None) };
        self.after = Some(Value::Array(last.sort.clone()));
        let count = u32::try_from(answer.hits.hits.len()).unwrap_or(PAGE);
        self.left = self.left.map(|left| left.saturating_sub(count));
        let hits = answer.hits.hits.into_iter().map(|hit| Hit {
            time: hit.sort.first().and_then(Value::as_i64).unwrap_or_default(),
            index: hit.index,
            id: hit.id,
            source: hit.source,
        });
        Ok(Some(hits.collect()))
    }

    /// Lets the server forget the point in time; otherwise it does so by itself after a while.
    pub(super) async fn close(self) {
        let Some(point) = self.point else { return };
        let (path, body) = if self.is_opensearch {
            ("/_search/point_in_time", json!({"pit_id": [point]}))
        } else {
            ("/_pit", json!({"id": point}))
        };
        _ = self.client.json(Method::DELETE, path, &body).await;
    }
}

/// A point in time; none where the server has no such thing (OpenSearch before 2.4, Elasticsearch before 7.10 and without its
/// licence), or no such index yet.
async fn open_point(
    client: &Client,
    is_opensearch: bool,
    index: &str,
) -> Result<Option<String>, Unavailable> {
    #[derive(Deserialize)]
    struct Opened {
        #[serde(alias = "pit_id")]
        id: String,
    }
    let kind = if is_opensearch { "_search/point_in_time" } else { "_pit" };
    let path = format!("/{index}/{kind}?keep_alive=5m");
    let (status, text) = client.send(Method::POST, &path, None).await?;
    match status.as_u16() {
        200..=299 => serde_json::from_slice(&text)
            .map(|opened: Opened| Some(opened.id))
            .map_err(|error| Unavailable(format!("no point in time ({error}): {}", head(&text)))),
        400 | 404 | 405 => Ok(None),
        _ => Err(unavailable(status, &text)),
    }
}

fn text(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MIN).to_string()
}
