//! Where compiled components are kept: a matter of the machine, not of a pipeline.

use std::path::{Path, PathBuf};

use super::Environment;

/// `TIDEGATE_CACHE`, where it is set: a folder, or nothing for no cache. Else `tidegate/code` where the user's caches are.
pub fn code_cache(environment: Environment<'_>) -> Option<PathBuf> {
    if let Some(folder) = environment("TIDEGATE_CACHE") {
        return Some(folder).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    }
    let absolute = |name: &str| environment(name).filter(|folder| Path::new(folder).is_absolute()).map(PathBuf::from);
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("tidegate/code"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expected: Option<&str>) {
        let environment = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(code_cache(&environment), expected.map(PathBuf::from));
    }

    #[test]
    fn the_cache_is_where_the_environment_says() {
        check(&[("TIDEGATE_CACHE", "cache"), ("HOME", "/users/me")], Some("cache"));
        check(&[("TIDEGATE_CACHE", ""), ("HOME", "/users/me")], None);
        check(&[("XDG_CACHE_HOME", "/caches"), ("HOME", "/users/me")], Some("/caches/tidegate/code"));
        check(&[("XDG_CACHE_HOME", ""), ("HOME", "/users/me")], Some("/users/me/.cache/tidegate/code"));
        check(&[], None);
    }
}
