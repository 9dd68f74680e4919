//! Cases 1 to 5: what a connection string means. They ask the suite's own parser, since a service has none.

use crate::connection_string::ConnectionString;
use crate::outcome::{Stop, Verdict, same};
use crate::stage::Stage;

fn parsed(text: &str) -> Verdict<ConnectionString> {
    text.parse().map_err(|error| Stop::failed("a connection string", error))
}

fn refused(text: &str, expected: &str) -> Verdict {
    let came = text.parse::<ConnectionString>().err().unwrap_or_else(|| "no error".to_owned());
    same("the error", expected, &came).map_err(|stop| stop.at(text))
}

pub(super) async fn port_beside_the_endpoint(_: Stage) -> Verdict {
    let connection = parsed("Endpoint=http://localhost;Port=8888;AccessKey=k;Version=1.0;")?;
    same("the port", 8888, connection.port())?;
    same("the base of audiences", "http://localhost/", &connection.audience_base())
}

pub(super) async fn any_letter_case(_: Stage) -> Verdict {
    let connection = parsed("endpoint=https://h/;accesskey=a==")?;
    same("the endpoint", "https://h", connection.display_endpoint())?;
    same("whether the key is a==", Some(true), connection.key.map(|key| key.0 == "a=="))
}

pub(super) async fn malformed(_: Stage) -> Verdict {
    let port = "Invalid value for port property, it must be an positive integer between (0, 65536)";
    refused("Endpoint=https://h", "Connection string missing required properties endpoint.")?;
    refused("Endpoint=ftp://h;AccessKey=k", "Invalid value for endpoint property, it must be a valid URI.")?;
    refused("Endpoint=http://h;AccessKey=k;Port=0", port)?;
    refused("Endpoint=http://h;AccessKey=k;Port=70000", port)?;
    refused("Endpoint=http://h;AccessKey=k;Version=2.0", "Version 2.0 is not supported.")?;
    let twice = "Duplicate properties found in connection string: accesskey.";
    refused("Endpoint=http://h;AccessKey=k;accesskey=k", twice)
}

pub(super) async fn port_wins(_: Stage) -> Verdict {
    let connection = parsed("Endpoint=http://a:500;Port=400;AccessKey=k;ClientEndpoint=http://b")?;
    same("the port", 400, connection.port())?;
    same("where clients connect", "http://b/", connection.client_base().as_str())?;
    same("where calls go", "http://a:400/", connection.server_base().as_str())
}

pub(super) async fn identities(_: Stage) -> Verdict {
    let app = "Endpoint=http://h;AuthType=azure.app;ClientId=c;TenantId=t";
    refused(app, "Connection string missing required properties clientSecret or clientCert.")?;
    refused("Endpoint=http://h;AuthType=nonsense", "accesskey is required.")
}
