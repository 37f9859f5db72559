//! A look at each index, or at the template that will make it.

use std::collections::BTreeMap;
use std::future::Future;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::advice::{Place, blocks, curl, encode, guesses, no_replicas, refresh, total_fields};
use super::template::{IndexTemplate, flat};
use super::{IndexState, Written, json, of_any};
use crate::config::ElasticsearchSettings;
use crate::sink::client::{Broken, Client, Reply};

pub(super) struct Looks<'a> {
    client: &'a Client,
    settings: &'a ElasticsearchSettings,
    /// Templates that the start installs.
    own: &'a [IndexTemplate],
    /// Where the requests that are shown go.
    url: &'a str,
    warnings: Vec<String>,
    /// Names whose index maps fields as documents bring them, and how that is changed.
    dynamic: Vec<(String, String)>,
    /// None: not asked yet.
    data_nodes: Option<u64>,
}

#[derive(Deserialize)]
struct Present {
    settings: Value,
}

#[derive(Deserialize)]
struct Mapped {
    mappings: Value,
}

impl<'a> Looks<'a> {
    pub fn new(client: &'a Client, settings: &'a ElasticsearchSettings, own: &'a [IndexTemplate]) -> Self {
        let url = settings.urls.first().map_or("", |url| url.trim_end_matches('/'));
        Looks { client, settings, own, url, warnings: Vec::new(), dynamic: Vec::new(), data_nodes: None }
    }

    /// At the index of a name. Where it has `*` in it, what is set is looked at in the last of the indices by their names, which is the newest one
    /// where they have dates: there may be thousands. So it is with a data stream.
    pub async fn at(&mut self, name: &str, written: Written) -> IndexState {
        const SETTINGS: &str =
            "index.uuid,index.refresh_interval,index.number_of_replicas,index.mapping.total_fields.*,index.blocks.*";
        let path = format!("{}/_settings/{SETTINGS}?flat_settings=true&ignore_unavailable=true", encode(name));
        let mut present: BTreeMap<String, Present> = match self.ask(|| self.client.get(&path)).await {
            Ok(present) => present.unwrap_or_default(),
            Err(state) => return state,
        };
        let is_other = !present.is_empty() && !present.contains_key(name);
        let is_pattern = name.contains('*');
        let is_stream = is_other && present.keys().all(|index| index.starts_with(".ds-"));
        if is_stream {
            self.stream(name, written, "is a data stream");
        } else if is_other && !is_pattern {
            match self.write_index(name).await {
                Some(index) => present.retain(|other, _| *other == index),
                None => return IndexState::Present,
            }
        }
        let Some((index, Present { settings })) = present.pop_last() else {
            return self.template(name, written).await;
        };
        let place = match (is_pattern, is_stream) {
            (true, _) => Place::Newest(self.url, &index),
            (false, true) => Place::Newest(self.url, name),
            (false, false) => Place::Index(self.url, &index),
        };
        let path = format!("{}/_mapping", encode(&index));
        let mapped: Option<BTreeMap<String, Mapped>> = self.ask(|| self.client.get(&path)).await.unwrap_or_default();
        let mappings = mapped.and_then(|mut mapped| mapped.remove(&index)).map(|mapped| mapped.mappings);
        self.judge(name, &settings, mappings.as_ref(), place).await;
        IndexState::Present
    }

    fn stream(&mut self, name: &str, written: Written, is: &str) {
        if !written.created {
            self.warnings.push(format!(
                "index=`{name}` {is}: every document that is not created is refused, and a dead letter; `operation = \"create\"` in the output"
            ));
        }
    }

    /// None: there is no such thing.
    async fn ask<T: DeserializeOwned, F: Future<Output = Result<Reply, Broken>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<Option<T>, IndexState> {
        match of_any(self.settings, ask).await {
            Ok(reply) if reply.status == 404 => Ok(None),
            Ok(reply) if matches!(reply.status, 401 | 403) => Err(IndexState::Unknown),
            Ok(reply) => json(&reply).map(Some).ok_or(IndexState::Unanswered),
            Err(_) => Err(IndexState::Unanswered),
        }
    }

    /// Of an alias.
    async fn write_index(&mut self, alias: &str) -> Option<String> {
        #[derive(Deserialize)]
        struct Index {
            aliases: BTreeMap<String, Alias>,
        }
        #[derive(Deserialize)]
        struct Alias {
            is_write_index: Option<bool>,
        }
        let path = format!("{0}/_alias/{0}", encode(alias));
        let indices: BTreeMap<String, Index> = self.ask(|| self.client.get(&path)).await.ok()??;
        let is_written = |index: &Index| index.aliases.get(alias).and_then(|alias| alias.is_write_index);
        let only = indices.len() == 1;
        let written =
            |(_, index): &(&String, &Index)| is_written(index) == Some(true) || only && is_written(index).is_none();
        if let Some((index, _)) = indices.iter().find(written) {
            return Some(index.clone());
        }
        let last = indices.keys().next_back()?;
        let body = format!(r#"{{"actions":[{{"add":{{"index":"{last}","alias":"{alias}","is_write_index":true}}}}]}}"#);
        self.warnings.push(format!(
            "index=`{alias}` is an alias of `{}`, none of which is the one that is written: every document is refused; such as {}",
            indices.keys().map(String::as_str).collect::<Vec<_>>().join("`, `"),
            curl(self.url, "POST", "_aliases", &body)
        ));
        None
    }

    pub fn warnings(self) -> Vec<String> {
        let Looks { mut warnings, dynamic, .. } = self;
        if !dynamic.is_empty() {
            let names: Vec<&str> = dynamic.iter().map(|(name, _)| name.as_str()).collect();
            warnings.push(format!(
                "fields that are not mapped are guessed from whichever document comes first indices=`{}`: one with another type is then a dead \
                 letter, and every new name takes of what the index takes at most; map what you want, then {}",
                names.join("`, `"),
                changes(&dynamic)
            ));
        }
        warnings
    }

    /// What is set, and how it is mapped, where that is known.
    async fn judge(&mut self, name: &str, settings: &Value, mappings: Option<&Value>, place: Place<'_>) {
        let settings = flat(settings);
        let setting = |name: &str| settings.get(name).map(String::as_str);
        self.warnings.extend(blocks(name, &settings, place));
        self.warnings.extend(refresh(name, setting("refresh_interval"), place));
        if setting("number_of_replicas") == Some("0") && self.data_nodes().await > 1 {
            self.warnings.push(no_replicas(name, place));
        }
        let Some(mappings) = mappings else { return };
        self.warnings.extend(total_fields(name, mappings, &settings, place));
        if guesses(mappings) {
            self.dynamic.push((name.to_owned(), place.strict()));
        }
    }

    async fn data_nodes(&mut self) -> u64 {
        #[derive(Deserialize)]
        struct Health {
            number_of_data_nodes: u64,
        }
        if self.data_nodes.is_none() {
            let health = || self.client.get("_cluster/health?filter_path=number_of_data_nodes");
            let health: Option<Health> = self.ask(health).await.unwrap_or_default();
            self.data_nodes = Some(health.map_or(0, |health| health.number_of_data_nodes));
        }
        self.data_nodes.unwrap_or_default()
    }

    async fn template(&mut self, name: &str, written: Written) -> IndexState {
        #[derive(Deserialize)]
        struct Simulated {
            template: Option<Value>,
        }
        // One of the names that are meant.
        let one = name.replace('*', "0");
        let listed = self.listed().await;
        let makes = listed.iter().filter(|listed| listed.is_for(&one)).max_by_key(|listed| listed.priority());
        let own = self.own.iter().filter(|own| own.is_for(name)).max_by_key(|own| own.priority());
        let own = own.filter(|own| makes.is_none_or(|makes| makes.priority() <= own.priority()));
        if own.or(makes).is_some_and(IndexTemplate::is_of_data_stream) {
            self.stream(name, written, "becomes a data stream by its template");
        }
        if let Some(own) = own {
            if let Some(made) = own.made() {
                self.made(name, made).await;
            }
            return IndexState::OwnTemplate;
        }
        let path = format!("_index_template/_simulate_index/{}", encode(&one));
        let simulated: Result<Option<Simulated>, IndexState> = self.ask(|| self.client.post(&path)).await;
        if let Ok(Some(Simulated { template: Some(made) })) = &simulated {
            self.made(name, made).await;
            return IndexState::Template;
        }
        // To try one may be forbidden, and is not known before 7.9: lists may be had all the same.
        if listed.iter().any(|listed| listed.is_for(name)) || self.has_legacy_template(name).await {
            return IndexState::Template;
        }
        if let Err(state) = simulated {
            return state;
        }
        self.warnings.push(format!(
            "neither an index nor an index template index=`{name}`: the first document creates it with guessed mappings, or is refused where \
             indices are not created by themselves; put a template first whose `index_patterns` are for it, or name one as `template` in the output"
        ));
        IndexState::Missing
    }

    /// At what a template makes of a name.
    async fn made(&mut self, name: &str, made: &Value) {
        let part = |name| made.get(name).unwrap_or(&Value::Null);
        self.judge(name, part("settings"), Some(part("mappings")), Place::Template).await;
    }

    /// Which names the index has templates for. None are seen where we may not.
    async fn listed(&self) -> Vec<IndexTemplate> {
        #[derive(Deserialize)]
        struct Listed {
            index_templates: Vec<Named>,
        }
        #[derive(Deserialize)]
        struct Named {
            index_template: IndexTemplate,
        }
        let shown =
            ["index_patterns", "priority", "data_stream"].map(|key| format!("index_templates.*.{key}")).join(",");
        let path = format!("_index_template?filter_path={shown}");
        let listed: Option<Listed> = self.ask(|| self.client.get(&path)).await.unwrap_or_default();
        listed.into_iter().flat_map(|listed| listed.index_templates).map(|named| named.index_template).collect()
    }

    /// As they were before 7.8.
    async fn has_legacy_template(&self, name: &str) -> bool {
        let ask = || self.client.get("_template?filter_path=*.index_patterns");
        let legacy: Option<BTreeMap<String, IndexTemplate>> = self.ask(ask).await.unwrap_or_default();
        legacy.into_iter().flatten().any(|(_, legacy)| legacy.is_for(name))
    }
}

/// For each name, or for all where it is the same, as of those that have templates.
fn changes(dynamic: &[(String, String)]) -> String {
    let mut by_change: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, change) in dynamic {
        match by_change.iter_mut().find(|(known, _)| known == change) {
            Some((_, names)) => names.push(name),
            None => by_change.push((change, vec![name])),
        }
    }
    match by_change.as_slice() {
        [(change, _)] => (*change).to_owned(),
        several => {
            let told = several.iter().map(|(change, names)| format!("\n    of `{}`: {change}", names.join("`, `")));
            told.collect()
        }
    }
}
