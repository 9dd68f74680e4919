//! Asks a container for what its data plane shows: whether it exists, is private, can be listed, and keeps what was deleted.
//!
//! Nothing is written. The rules that delete old messages are part of the account and do not show here.

use std::time::{Duration, SystemTime};

use azure_credentials::TokenCache;
use azure_http::{HttpClient, HttpError};
use reqwest::{RequestBuilder, Url};
use serverless_chat::config::{Container, ContainerAccess, HISTORY};
use tokio::time::Instant;
use uuid::Uuid;

use super::{HISTORY_SUBJECT, names};
use crate::doctor::http::{self, HttpResponse, RequestError, send};
use crate::doctor::report::Finding;

/// Supports all that is asked; the account's properties need 2019-07-07.
const API_VERSION: &str = "2021-12-02";
const SCOPE: &str = "https://storage.azure.com/.default";
/// `az` alone takes seconds.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) struct ContainerCheck<'a> {
    container: &'a Container,
    http: HttpClient,
}

impl<'a> ContainerCheck<'a> {
    pub(super) fn new(container: &'a Container) -> Result<Self, HttpError> {
        Ok(Self { container, http: http::http_client(container.roots.clone())? })
    }

    pub(super) async fn run(&self) -> Vec<Finding> {
        let anonymous = match send(self.get(&[&format!("doctor-{}", Uuid::new_v4())], "")).await {
            Ok(response) => response,
            Err(error) => return vec![self.unreachable(error)],
        };
        let mut findings = Vec::from_iter(self.privacy(&anonymous));
        let token = match &self.container.access {
            ContainerAccess::Sas(_) => None,
            ContainerAccess::Identity(source) => {
                let tokens = TokenCache::new(source, SCOPE, &self.http);
                match tokens.get(SystemTime::now(), Instant::now() + TOKEN_TIMEOUT).await {
                    Ok(token) => Some(token.expose().to_owned()),
                    Err(error) => {
                        findings.push(Finding::problem(HISTORY_SUBJECT, error.to_string(), "az login"));
                        return findings;
                    }
                }
            }
        };
        let ask = async |query: &str| send(self.authorized(query, token.as_deref())).await;
        let list = match ask("restype=container&comp=list&maxresults=1").await {
            Ok(response) => response,
            Err(error) => {
                findings.push(self.unreachable(error));
                return findings;
            }
        };
        let list = self.list(&list);
        let can_list = !list.is_problem();
        findings.push(list);
        if can_list {
            let account = ask("restype=account&comp=properties").await;
            let deleted = ask("restype=container&comp=list&maxresults=100&include=versions,deleted").await;
            findings.push(self.namespace(account.ok().as_ref()));
            findings.push(self.remains(deleted.ok().as_ref()));
            findings.push(self.retention());
        }
        findings
    }

    /// A request for the container, or for a blob in it, without credentials.
    fn get(&self, segments: &[&str], query: &str) -> RequestBuilder {
        let mut url = self.container.url.clone();
        url.path_segments_mut().expect("containers have web addresses").pop_if_empty().extend(segments);
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        self.http.as_reqwest().get(url).header("x-ms-version", API_VERSION)
    }

    fn authorized(&self, query: &str, token: Option<&str>) -> RequestBuilder {
        match (&self.container.access, token) {
            (ContainerAccess::Sas(sas), _) => self.get(&[], &format!("{query}&{}", sas.expose())),
            (ContainerAccess::Identity(_), Some(token)) => self.get(&[], query).bearer_auth(token),
            (ContainerAccess::Identity(_), None) => self.get(&[], query),
        }
    }

    fn url(&self) -> &Url {
        &self.container.url
    }

    fn unreachable(&self, error: RequestError) -> Finding {
        let (account, _) = names(self.url());
        let fix = format!(
            "compare with: az storage account show --name {account} --query primaryEndpoints.blob --output tsv"
        );
        Finding::problem(HISTORY_SUBJECT, format!("its storage account cannot be reached: {error}"), fix)
    }

    /// Evaluates the response to a request without credentials, for a blob that does not exist. A private container does not tell
    /// whether it does.
    fn privacy(&self, response: &HttpResponse) -> Option<Finding> {
        let (account, container) = names(self.url());
        match (response.status, error_code(response)) {
            (404, Some("BlobNotFound")) | (200, _) => {
                let problem = "its container is public: messages of all people can be read from the internet";
                let fix = format!(
                    "az storage container set-permission --account-name {account} --name {container} --public-access off"
                );
                Some(Finding::problem("privacy", problem, fix))
            }
            (401 | 403 | 404 | 409, _) => {
                Some(Finding::ok("privacy", "its container cannot be read without credentials"))
            }
            _ => None,
        }
    }

    fn list(&self, response: &HttpResponse) -> Finding {
        let (account, container) = names(self.url());
        let is_sas = matches!(self.container.access, ContainerAccess::Sas(_));
        let problem = |problem: &str, fix: String| Finding::problem(HISTORY_SUBJECT, problem, fix);
        match (response.status, error_code(response)) {
            (200, _) => Finding::ok(HISTORY_SUBJECT, "its container can be listed"),
            (404, _) => problem(
                "its container does not exist",
                format!(
                    "az storage container create --account-name {account} --name {container} --auth-mode login --public-access off"
                ),
            ),
            (403, Some("KeyBasedAuthenticationNotPermitted")) => problem(
                "the account allows no SAS that an account key has signed",
                format!(
                    "remove the SAS from {HISTORY}, and give the app's identity the role Storage Blob Data Contributor on the container (docs/history.md)"
                ),
            ),
            (401 | 403, _) if is_sas => problem(
                "the account rejects the SAS: it was signed with an old key, or the network rules of the account are in the way",
                format!(
                    "az storage container generate-sas --account-name {account} --name {container} --permissions racwdl --https-only --expiry DATE --auth-mode key --output tsv"
                ),
            ),
            (401 | 403, _) => problem(
                "the account rejects the identity: a role is missing, or was assigned minutes ago",
                format!(
                    "az role assignment create --role \"Storage Blob Data Contributor\" --assignee \"$(az ad signed-in-user show --query id --output tsv)\" \
                     --scope \"$(az storage account show --name {account} --query id --output tsv)/blobServices/default/containers/{container}\""
                ),
            ),
            (status, _) => problem(&format!("its container answers {status}"), "run it again".to_owned()),
        }
    }

    /// Evaluates the properties of the account. Rights on the container alone do not always suffice for them.
    fn namespace(&self, response: Option<&HttpResponse>) -> Finding {
        let subject = "namespace";
        let enabled = response.filter(|response| response.status == 200);
        match enabled.and_then(|response| response.header("x-ms-is-hns-enabled")) {
            Some("true") => Finding::problem(
                subject,
                "the account has a hierarchical namespace, where parts of the history cannot be sealed",
                format!("create an account without it, and set {HISTORY} to a container there"),
            ),
            Some(_) => Finding::ok(subject, "is flat, as the history needs it"),
            None => {
                let (account, _) = names(self.url());
                let reason = format!(
                    "does not show; it must not be true: az storage account show --name {account} --query isHnsEnabled"
                );
                Finding::skipped(subject, reason)
            }
        }
    }

    /// Evaluates a list with versions and deleted blobs. It shows that versioning or soft delete is on once it has kept something.
    fn remains(&self, response: Option<&HttpResponse>) -> Finding {
        let subject = "deleted messages";
        let Some(response) = response.filter(|response| response.status == 200) else {
            return Finding::skipped(subject, "the container does not show what it keeps of them");
        };
        let body = String::from_utf8_lossy(&response.body);
        let (versions, deleted) = (body.contains("<VersionId>"), body.contains("<Deleted>true</Deleted>"));
        let (account, _) = names(self.url());
        let update = |what: &str| {
            format!(
                "az storage account blob-service-properties update --account-name {account} --resource-group $group {what}"
            )
        };
        match (versions, deleted) {
            (false, false) => Finding::ok(subject, "none is left in the container, as far as it shows"),
            (true, _) => {
                let problem = "versioning is on: an erased or expired message can still be read in an older version";
                Finding::problem(subject, problem, update("--enable-versioning false --enable-delete-retention false"))
            }
            (false, true) => {
                let problem = "soft delete is on: an erased or expired message can still be restored";
                Finding::problem(subject, problem, update("--enable-delete-retention false"))
            }
        }
    }

    fn retention(&self) -> Finding {
        let (account, _) = names(self.url());
        let reason = format!(
            "the rule that deletes them does not show here: az storage account management-policy show --account-name {account} --resource-group $group"
        );
        Finding::skipped("old messages", reason)
    }
}

fn error_code(response: &HttpResponse) -> Option<&str> {
    response.header("x-ms-error-code")
}
