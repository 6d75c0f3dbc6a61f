//! The models that the server can put in use: the configured one, the built-in one, and those in the data folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use logrisk_base::Risk;
use logrisk_enrich::redact::{Redactions, Redactor};
use logrisk_score::archive::{Archive, Manifest};
use logrisk_web::{Engine, ModelInfo, Models, ModelsError};
use serde_json::Value;

use super::{
    super::model::{built_in_manifest, open_archive},
    engine::PipelineEngine,
};
use crate::{commands::score::EngineArgs, drift::Drift, system};

/// Where `--model` and the models folder point.
pub struct AppModels {
    engine: EngineArgs,
    redactions: Redactions,
    folder: Option<PathBuf>,
}

/// A model at its place; `None` is the one built in.
struct Place {
    path: Option<PathBuf>,
    manifest: Manifest,
}

impl AppModels {
    /// Models lie in the folder `models` of the data folder, each a folder or a `.tar.zst` of its own.
    pub fn new(engine: EngineArgs, redactions: Redactions, data: Option<&Path>) -> Self {
        Self { engine, redactions, folder: data.map(|data| data.join("models")) }
    }

    /// All models that can be opened; what cannot is named in the log and left out.
    fn places(&self) -> Vec<Place> {
        let in_folder = self.folder.as_ref().and_then(|folder| fs::read_dir(folder).ok());
        let found = in_folder.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let mut places: Vec<Place> = Vec::new();
        for path in self.engine.model.clone().into_iter().chain(found) {
            match Archive::verify(&path) {
                Ok(manifest) => places.push(Place { path: Some(path), manifest }),
                Err(error) => tracing::warn!(path = %path.display(), %error, "a model cannot be used"),
            }
        }
        places.extend(built_in_manifest().map(|manifest| Place { path: None, manifest }));
        let mut seen = Vec::new();
        places.retain(|place| {
            let version = place.manifest.description.version.clone();
            let new = !seen.contains(&version);
            seen.push(version);
            new
        });
        places.sort_by(|left, right| {
            right.manifest.description.created.cmp(&left.manifest.description.created)
        });
        places
    }
}

impl Models for AppModels {
    fn list(&self) -> Vec<ModelInfo> {
        self.places()
            .into_iter()
            .map(|Place { path, manifest }| ModelInfo {
                version: manifest.description.version,
                created: manifest.description.created,
                origin: path.map_or_else(|| "built-in".to_owned(), |path| path.display().to_string()),
                figures: manifest.description.figures,
            })
            .collect()
    }

    fn open(&self, version: Option<&str>) -> Result<Arc<dyn Engine>, ModelsError> {
        let mut arguments = self.engine.clone();
        if let Some(version) = version {
            let found = self.places().into_iter().find(|place| place.manifest.description.version == version);
            let place = found.ok_or_else(|| ModelsError::Unknown(version.to_owned()))?;
            arguments.model = place.path;
        }
        let broken = |error: anyhow::Error| ModelsError::Broken(format!("{error:#}"));
        let redactor = Redactor::new(self.redactions);
        let engine = system::load(|| load(&arguments, redactor)).map_err(broken)?;
        Ok(Arc::new(engine))
    }
}

fn load(arguments: &EngineArgs, redactor: Redactor) -> anyhow::Result<PipelineEngine> {
    let archive = open_archive(arguments.model.as_deref(), arguments.tokenizer.as_deref())?;
    let expected = risk_shares(&archive.description.figures);
    let mut pipeline = arguments.pipeline_of(archive, Some(redactor), true)?;
    pipeline.drift = Some(Drift::new(expected));
    Ok(PipelineEngine::new(pipeline))
}

/// The share of each risk among the lines that the model was calibrated on, if its figures say so.
fn risk_shares(figures: &Value) -> Option<[f64; Risk::COUNT]> {
    let shares = figures.get("calibration")?.get("risk_shares")?.as_array()?;
    let shares: Vec<f64> =
        shares.iter().filter_map(Value::as_f64).filter(|share| (0.0..=1.0).contains(share)).collect();
    shares.try_into().ok()
}
