//! Places at which a test ends the process as a crash would: before and after whatever makes a difference to others.
//!
//! Every write transaction and every send to the sequencer passes two of them. They cost nothing and do nothing, unless the
//! program was built with the feature `crash-points-for-tests` and told where the test is
//! ([`listen`](CrashPoints::listen)).

/// The places of one write or send, under each of the names that say what is written or sent.
#[derive(Debug, Default)]
pub struct CrashPoints {
    #[cfg(feature = "crash-points-for-tests")]
    names: std::collections::BTreeSet<String>,
}

#[cfg(not(feature = "crash-points-for-tests"))]
impl CrashPoints {
    /// Of these names.
    #[inline]
    pub fn of(_names: impl IntoIterator<Item = String>) -> Self {
        Self {}
    }

    /// Of more names.
    #[inline]
    pub fn add(&mut self, _name: impl FnOnce() -> String) {}

    /// Nothing is done yet.
    #[inline]
    pub fn before(&self) {}

    /// It is done, and nobody was told.
    #[inline]
    pub fn after(&self) {}
}

#[cfg(feature = "crash-points-for-tests")]
mod enabled {
    use super::CrashPoints;
    use std::{
        fs::{self, File},
        io::Write as _,
        path::{Path, PathBuf},
        process,
        sync::OnceLock,
    };

    static PREFIX: OnceLock<PathBuf> = OnceLock::new();

    impl CrashPoints {
        /// From now on the names of places that are reached are appended to the file `PREFIX.reached`, and the first process
        /// that reaches the place named in the file `PREFIX.armed` takes that file away and aborts. Processes may share a
        /// prefix.
        pub fn listen(prefix: PathBuf) {
            PREFIX.get_or_init(|| prefix);
        }

        /// Of these names.
        pub fn of(names: impl IntoIterator<Item = String>) -> Self {
            Self { names: names.into_iter().collect() }
        }

        /// Of more names.
        pub fn add(&mut self, name: impl FnOnce() -> String) {
            self.names.insert(name());
        }

        /// Nothing is done yet.
        pub fn before(&self) {
            self.reached("before");
        }

        /// It is done, and nobody was told.
        pub fn after(&self) {
            self.reached("after");
        }

        fn reached(&self, moment: &str) {
            let Some(prefix) = PREFIX.get() else { return };
            for name in &self.names {
                pass(prefix, &format!("{moment} {name}"));
            }
        }
    }

    fn pass(prefix: &Path, place: &str) {
        let (log, armed) = (prefix.with_extension("reached"), prefix.with_extension("armed"));
        let noted = File::options().create(true).append(true).open(log);
        noted.and_then(|mut log| log.write_all(format!("{place}\n").as_bytes())).expect("the test can write its file");
        let is_meant = fs::read_to_string(&armed).is_ok_and(|wanted| wanted == place);
        // Of several processes one takes the file away.
        if is_meant && fs::rename(&armed, prefix.with_extension("fired")).is_ok() {
            process::abort();
        }
    }
}
