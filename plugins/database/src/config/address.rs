//! The URL of a database server, taken apart. It may hold a password, so no complaint repeats any of it.

use azora_spec::Secret;
use percent_encoding::percent_decode_str;
use url::Url;

/// What a URL says.
#[derive(Debug, Default)]
pub(super) struct Address {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) database: Option<String>,
    pub(super) tls: Option<String>,
}

/// Reads `scheme://user:password@host:port/database?sslmode=require`.
pub(super) fn parse(text: &str) -> Result<Address, &'static str> {
    let url = Url::parse(text).map_err(|_| "the URL cannot be read; it is scheme://user:password@host:port/database")?;
    if !matches!(url.scheme(), "postgres" | "postgresql" | "mysql" | "mariadb") {
        return Err("the URL begins with postgresql:// or mysql://");
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned()).map_err(|_| "the URL is not UTF-8");
    let given = |text: &str| if text.is_empty() { Ok(None) } else { decoded(text).map(Some) };
    let mut tls = None;
    for (key, value) in url.query_pairs() {
        match key.as_ref() {
            "sslmode" | "ssl-mode" | "tls" => tls = Some(mode(&value)?.to_owned()),
            _ => return Err("of parameters the URL takes sslmode alone"),
        }
    }
    let host = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']').to_owned());
    Ok(Address {
        host: host.filter(|host| !host.is_empty()),
        port: url.port(),
        user: given(url.username())?,
        password: url.password().map(decoded).transpose()?.map(Secret::new),
        database: given(url.path().trim_start_matches('/'))?,
        tls,
    })
}

fn mode(text: &str) -> Result<&'static str, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "disable" | "disabled" => Ok("disable"),
        "prefer" | "preferred" | "allow" => Ok("prefer"),
        // Others encrypt without a look at the certificate here; we look.
        "require" | "required" | "verify-ca" | "verify_ca" | "verify-full" | "verify_identity" => Ok("require"),
        _ => Err("sslmode is disable, prefer, require or verify-full"),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_url_is_taken_apart() {
        let address = parse("postgresql://ann:p%40ss@db.example:6432/shop?sslmode=require").unwrap();
        assert_eq!(address.host.as_deref(), Some("db.example"));
        assert_eq!(address.port, Some(6432));
        assert_eq!(address.user.as_deref(), Some("ann"));
        assert_eq!(address.password.unwrap().expose(), "p@ss");
        assert_eq!(address.database.as_deref(), Some("shop"));
        assert_eq!(address.tls.as_deref(), Some("require"));
        assert_eq!(parse("mysql://[::1]:3307/x").unwrap().host.as_deref(), Some("::1"));
    }

    #[test]
    fn what_it_may_not_say_is_refused_without_repeating_it() {
        for text in ["http://a/b", "nonsense hunter2", "postgres://u:hunter2@h/d?options=-c"] {
            assert!(!parse(text).unwrap_err().contains("hunter2"));
        }
    }
}
