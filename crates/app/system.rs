//! What a service asks of the system: small pages, freed memory taken back, and file descriptors.

use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files of the service itself: store, log, certificates, epoll; with room to spare.
const OWN_FILES: u64 = 64;

/// Takes pages of 4 KiB from here on. In pages of 2 MiB a service's many small buffers, among memory that was given back,
/// held 35 MB more.
pub fn prefer_small_pages() {
    // A system that has no huge pages has nothing to refuse.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay in use");
    }
}

/// Loads something large on a thread that ends, so that nothing of what loading needed stays: for a model four times its own
/// memory.
///
/// # Errors
/// What `work` says, or that it panicked.
pub fn load<T: Send>(work: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    let loaded = thread::scope(|scope| scope.spawn(work).join());
    give_back();
    loaded.unwrap_or_else(|_| Err(anyhow::anyhow!("loading the model panicked")))
}

/// Gives back to the system what was freed and is kept for later: after a model was loaded that is more than the model
/// itself. Takes about a millisecond for each 50 MB.
#[expect(unsafe_code, reason = "the allocator has no safe function for this")]
fn give_back() {
    // SAFETY: may be called at any time by any thread; it changes no memory that is in use.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

/// Asks for as many file descriptors as the system lets us have: 1,024, the usual limit, are fewer than the connections that
/// a server takes.
pub fn raise_file_limit(connections: u32) {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let files = if raised.is_ok() { limit.maximum } else { limit.current };
    if let Some(files) = files.filter(|files| *files < u64::from(connections) + OWN_FILES) {
        tracing::warn!(
            files,
            connections,
            "the system gives fewer files than there may be connections; raise `ulimit -n`"
        );
    }
}
