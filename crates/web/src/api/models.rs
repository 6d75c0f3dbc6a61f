//! `GET /models` and which of them judges.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, State},
};

use super::blocking;
use crate::{
    access::Identity,
    error::{ApiError, ErrorBody},
    service::Service,
    view::{ModelChange, ModelList, ModelRow},
};

/// List models, the newest first
#[utoipa::path(get, path = "/models", tag = "models", responses((status = 200, body = ModelList)))]
pub(crate) async fn list(State(service): State<Arc<Service>>) -> Result<Json<ModelList>, ApiError> {
    service.model_list().await.map(Json)
}

/// Put a model in use
///
/// It is loaded and warmed up first; no request fails meanwhile. The model in use before stays in memory: going back to
/// it takes no time.
#[utoipa::path(
    post, path = "/models/{version}/activate", tag = "models",
    params(("version" = String, Path, description = "The model's version")),
    responses((status = 200, body = ModelChange), (status = 404, body = ErrorBody), (status = 422, body = ErrorBody))
)]
pub(crate) async fn activate(
    State(service): State<Arc<Service>>,
    Extension(identity): Extension<Identity>,
    Path(version): Path<String>,
) -> Result<Json<ModelChange>, ApiError> {
    let by = identity.name.map(|name| name.to_string());
    Ok(Json(change(service, Some(version), by).await?))
}

/// Read the configured model anew and put it in use
#[utoipa::path(
    post, path = "/models/reload", tag = "models",
    responses((status = 200, body = ModelChange), (status = 422, body = ErrorBody))
)]
pub(crate) async fn reload(
    State(service): State<Arc<Service>>,
    Extension(identity): Extension<Identity>,
) -> Result<Json<ModelChange>, ApiError> {
    let by = identity.name.map(|name| name.to_string());
    Ok(Json(change(service, None, by).await?))
}

/// On a task of its own: a caller who leaves does not stop a change half way.
async fn change(
    service: Arc<Service>,
    version: Option<String>,
    by: Option<String>,
) -> Result<ModelChange, ApiError> {
    let changed = tokio::spawn(async move { service.activate(version.as_deref(), by).await }).await;
    let changed = changed.map_err(|_| {
        ApiError::new(
            axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the model could not be changed",
        )
    })?;
    Ok(changed?)
}

impl Service {
    /// The models there are, for the API and the page.
    pub(crate) async fn model_list(self: &Arc<Self>) -> Result<ModelList, ApiError> {
        let previous = self.previous_version().await;
        let loaded = self.loaded();
        let active = loaded.as_ref().map(|loaded| loaded.engine.version().to_owned());
        let since = loaded.map(|loaded| loaded.since);
        let models = Arc::clone(self.models());
        let listed = blocking(move || Ok(models.list())).await?;
        let models = listed
            .into_iter()
            .map(|model| ModelRow {
                active: active.as_ref() == Some(&model.version),
                version: model.version,
                created: model.created,
                origin: model.origin,
                figures: model.figures,
            })
            .collect();
        Ok(ModelList { models, active, previous, since })
    }
}
