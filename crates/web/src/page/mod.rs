//! The page that people look at. Its handlers get what the API's handlers get: the shared [`Service`], and the
//! [`crate::Identity`] of the request in its extensions.

use std::sync::Arc;

use axum::Router;

use crate::service::Service;

/// The page's routes: `/`, `/ui/…`. Paths of the API never answer HTML.
pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new()
}
