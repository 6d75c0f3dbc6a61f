//! Which records go to which sink.

use garde::Validate;
use logrisk_base::{Risk, Tag};
use logrisk_flow::{Chosen, Scored};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

/// One route: records that all of its conditions hold for go to its sinks.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    /// Names of sinks.
    #[garde(length(min = 1))]
    pub to: Vec<Spanned<String>>,
    /// The lowest and the highest risk.
    #[garde(skip)]
    #[serde(default = "lowest")]
    min_risk: Risk,
    #[garde(skip)]
    #[serde(default = "highest")]
    max_risk: Risk,
    /// Any of these tags.
    #[garde(skip)]
    #[serde(default)]
    tags: Vec<Tag>,
    /// Any of these sources.
    #[garde(skip)]
    #[serde(default)]
    pub from: Vec<Spanned<String>>,
    /// All of these fields, with exactly these values.
    #[garde(skip)]
    #[serde(default)]
    fields: BTreeMap<String, serde_json::Value>,
    /// Only one record in so many, which then says so in its field `sample_rate`.
    #[garde(range(min = 1, max = 1_000_000))]
    #[serde(default = "every")]
    sample_rate: u32,
}

const fn lowest() -> Risk {
    Risk::MIN
}

const fn highest() -> Risk {
    Risk::MAX
}

const fn every() -> u32 {
    1
}

/// Routes over sinks that are known by their places.
#[derive(Debug)]
pub struct Routes {
    /// For each sink its routes; a sink that no route names has none, and gets every record.
    sinks: Vec<Vec<RouteSettings>>,
}

impl Routes {
    /// The routes to these sinks, in their order.
    pub fn new(routes: &[RouteSettings], sinks: &[&str]) -> Self {
        let of = |sink: &&str| {
            let routes = routes.iter().filter(|route| route.to.iter().any(|to| to.value == *sink));
            routes.cloned().collect()
        };
        Self { sinks: sinks.iter().map(of).collect() }
    }

    /// For each sink, in order, the records that it shall have.
    pub fn choose(&self, items: &[Scored]) -> Vec<Vec<Chosen>> {
        let of = |routes: &Vec<RouteSettings>| {
            let chosen = items.iter().enumerate().filter_map(|(index, scored)| {
                let index = u32::try_from(index).ok()?;
                if routes.is_empty() {
                    return Some(Chosen { index, sample_rate: 1 });
                }
                // The first route that a record fits decides about it.
                let route = routes.iter().find(|route| route.fits(scored))?;
                let rate = route.sample_rate;
                // By the record's id, so that a redelivery chooses the same.
                let chosen = scored.record.id.spread().is_multiple_of(u64::from(rate));
                chosen.then_some(Chosen { index, sample_rate: rate })
            });
            chosen.collect()
        };
        self.sinks.iter().map(of).collect()
    }
}

impl RouteSettings {
    fn fits(&self, scored: &Scored) -> bool {
        let verdict = &scored.verdict;
        let record = &scored.record;
        let field = |name: &str| record.fields.get(name).or_else(|| record.origin.fields.get(name));
        (self.min_risk..=self.max_risk).contains(&verdict.risk)
            && (self.tags.is_empty() || self.tags.contains(&verdict.tag))
            && (self.from.is_empty() || self.from.iter().any(|from| from.value == record.origin.source))
            && self.fields.iter().all(|(name, value)| field(name) == Some(value))
    }
}
