//! The URL of a database server, taken apart. It may hold a password, so no complaint repeats any of it.

use super::Engine;
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
    /// Of MongoDB: the database in which the user is kept.
    pub(super) auth_source: Option<String>,
}

/// Reads `scheme://user:password@host:port/database?sslmode=require`.
pub(super) fn parse(text: &str, engine: Engine) -> Result<Address, &'static str> {
    let url = Url::parse(text).map_err(|_| "the URL cannot be read; it is scheme://user:password@host:port/database")?;
    let is_document = engine == Engine::MongoDb;
    match url.scheme() {
        "mongodb+srv" if is_document => {
            return Err("mongodb+srv:// asks the DNS for hosts that nobody has checked; write mongodb://host:port/database with one host");
        }
        "mongodb" if is_document => {}
        _ if is_document => return Err("the URL begins with mongodb://"),
        "postgres" | "postgresql" | "mysql" | "mariadb" => {}
        _ => return Err("the URL begins with postgresql:// or mysql://"),
    }
    if is_document && url.host_str().is_some_and(|host| host.contains([',', '%'])) {
        return Err("one host is connected to, and others that it names are not; write mongodb://host:port/database");
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned()).map_err(|_| "the URL is not UTF-8");
    let given = |text: &str| if text.is_empty() { Ok(None) } else { decoded(text).map(Some) };
    let (mut tls, mut auth_source) = (None, None);
    for (key, value) in url.query_pairs() {
        match key.as_ref() {
            "tls" | "ssl" if is_document => {
                tls = Some(if value == "true" { "require" } else { "disable" }.to_owned());
            }
            "authSource" if is_document => auth_source = Some(value.into_owned()),
            // What these would ask for is what is done.
            "directConnection" | "retryWrites" | "w" | "appName" if is_document => {}
            _ if is_document => return Err("of parameters the URL takes tls and authSource"),
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
        auth_source,
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
    use super::Engine;

    fn parse(text: &str) -> Result<super::Address, &'static str> {
        super::parse(text, Engine::Postgres)
    }

    #[test]
    fn urls_of_mongodb_name_one_host() {
        let parse = |text: &str| super::parse(text, Engine::MongoDb);
        let address = parse("mongodb://ann:p%40ss@db:27018/shop?tls=true&authSource=admin&directConnection=true").unwrap();
        assert_eq!((address.host.as_deref(), address.port, address.database.as_deref()), (Some("db"), Some(27018), Some("shop")));
        assert_eq!((address.tls.as_deref(), address.auth_source.as_deref()), (Some("require"), Some("admin")));
        for text in [
            "mongodb+srv://a:hunter2@b/c",
            "mongodb://a:hunter2@b,c/d",
            "postgres://a:hunter2@b/c",
            "mongodb://a:hunter2@b/c?tlsInsecure=true",
            "mongodb://%2Ftmp%2Fx.sock/d",
        ] {
            assert!(!parse(text).unwrap_err().contains("hunter2"), "{text}");
        }
    }

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
