//! Finding things in an org: itself, its objects, and what a slice selects.

use futures::stream::{self, StreamExt, TryStreamExt};
use infill_crm::Error;
use infill_model::nearest::did_you_mean;
use infill_model::property::PropertyDef;
use infill_model::slice::{Readiness, ResolvedSlice};
use infill_model::{Class, ObjectType, Value};

use super::{LOOK_UPS_AT_ONCE, Salesforce, VENDOR};
use crate::catalog::{self, Description};
use crate::id::Id;
use crate::record_type::{self, Picklists};
use crate::response::{ListView, ListViewQuery, ListViews, Objects, Organization, QueryPage, UserInfo};
use crate::statement::Statement;
use crate::{request, slice};

/// Pages of list views that are looked through for a name.
const MOST_VIEW_PAGES: usize = 100;

impl Salesforce {
    /// The org's id, what people call it, and its time zone. A user who may not see the object Organization sees at least whom
    /// Salesforce takes them for.
    pub(super) async fn organization(&self) -> Result<(String, String, Option<String>), Error> {
        let request = request::organization(self.version)?;
        let known = match self.ask::<QueryPage<Organization>>(&request).await {
            Err(error) if error.class == Class::Configuration => None,
            page => page?.records.into_iter().next(),
        };
        if let Some(org) = known {
            let kind = if org.is_sandbox { "sandbox" } else { "org" };
            return Ok((org.id, format!("{VENDOR} {kind} {}", org.name), org.time_zone_sid_key));
        }
        let user: UserInfo = self.ask(&request::user_info()).await?;
        let id = user.organization_id;
        let of_user = user.preferred_username.map(|name| format!(", user {name}")).unwrap_or_default();
        Ok((id.clone(), format!("{VENDOR} org {id}{of_user}"), user.zoneinfo))
    }

    /// The error of an object that is not there, with the names that are near.
    async fn no_such_object(&self, name: &str) -> Error {
        let known: Result<Objects, Error> = self.ask(&request::objects(self.version)).await;
        let near = known.map_or_else(
            |_| String::new(),
            |known| did_you_mean(name, known.sobjects.iter().map(|object| object.name.as_str())),
        );
        let message = format!("{VENDOR} has no object \"{name}\" that this user may see{near}");
        Error::new(Class::Configuration, "unknown_object", message)
    }

    pub(super) async fn properties(&self, object: &str) -> Result<Vec<PropertyDef>, Error> {
        Ok(catalog::definitions(self.describe(object).await?))
    }

    pub(super) async fn describe(&self, object: &str) -> Result<Description, Error> {
        match self.ask(&request::describe(self.version, object)).await {
            Err(error) if error.class == Class::Gone => Err(self.no_such_object(object).await),
            description => description,
        }
    }

    /// The same properties with the picklist values of each record type, where these divide any of them.
    pub(super) async fn by_record_type(
        &self,
        object: &str,
        mut properties: Vec<PropertyDef>,
    ) -> Result<Vec<PropertyDef>, Error> {
        let picklists: Vec<(Id, Option<Picklists>)> = stream::iter(record_type::unasked(&properties))
            .map(|id| async move { Ok::<_, Error>((id, self.picklists(object, id).await?)) })
            .buffered(LOOK_UPS_AT_ONCE)
            .try_collect()
            .await?;
        for (id, picklists) in &picklists {
            if let Some(picklists) = picklists {
                record_type::note(&mut properties, *id, picklists);
            }
        }
        Ok(properties)
    }

    /// What records of a type take; `None` where the user interface API does not serve the object or the type.
    async fn picklists(&self, object: &str, record_type: Id) -> Result<Option<Picklists>, Error> {
        match self.ask(&request::picklists(self.version, object, record_type)).await {
            Err(error) if matches!(error.class, Class::Gone | Class::Configuration | Class::Rejected) => {
                tracing::info!(error = %error, %record_type, "picklist values of a record type are left to Salesforce");
                Ok(None)
            }
            picklists => picklists.map(Some),
        }
    }

    pub(super) async fn list_views(&self, object: &str) -> Result<Vec<ListView>, Error> {
        let mut views = Vec::new();
        let mut request = request::list_views(self.version, object);
        for _ in 0..MOST_VIEW_PAGES {
            let page: ListViews = self.ask(&request).await?;
            views.extend(page.listviews);
            match page.next_records_url {
                Some(next) if next.starts_with('/') => request = request::more_list_views(&next),
                Some(_) | None => break,
            }
        }
        Ok(views)
    }

    /// The id and the label of a list view, by its id, its label or its API name.
    async fn find_view(&self, object: &str, wanted: &str) -> Result<(Id, String), Error> {
        const PREFIX: &str = "00B";
        if let Some(id) = Id::parse(wanted).filter(|id| id.prefix() == PREFIX) {
            return Ok((id, wanted.to_owned()));
        }
        let views = match self.list_views(object).await {
            Err(error) if error.class == Class::Gone => return Err(self.no_such_object(object).await),
            views => views?,
        };
        let is_wanted = |name: &str| name.eq_ignore_ascii_case(wanted);
        let by_name = views.iter().find(|view| view.developer_name.as_deref().is_some_and(is_wanted));
        let labelled: Vec<&ListView> = views.iter().filter(|view| is_wanted(&view.label)).collect();
        let view = match (by_name, labelled.as_slice()) {
            (Some(view), _) => view,
            (None, [view]) => *view,
            (None, []) => {
                let near = did_you_mean(wanted, views.iter().map(|view| view.label.as_str()));
                let message = format!(
                    "{VENDOR} has no list view \"{wanted}\" of {object} that this user may see{near}"
                );
                return Err(Error::new(Class::Configuration, "list_view_not_found", message));
            }
            (None, several) => {
                let names: Vec<&str> =
                    several.iter().map(|view| view.developer_name.as_deref().unwrap_or(&view.id)).collect();
                let message = format!(
                    "{} list views of {object} are labelled \"{wanted}\"; name one of {}",
                    names.len(),
                    names.join(", ")
                );
                return Err(Error::new(Class::Configuration, "list_view_ambiguous", message));
            }
        };
        let id = Id::parse(&view.id).ok_or_else(|| {
            Error::new(Class::Bug, "unexpected_answer", format!("\"{}\" is no id of a list view", view.id))
        })?;
        Ok((id, view.label.clone()))
    }

    pub(super) async fn resolve_view(
        &self,
        object: &str,
        wanted: &str,
    ) -> Result<(Statement, String), Error> {
        let (id, label) = self.find_view(object, wanted).await?;
        let view: ListViewQuery = match self.ask(&request::list_view(self.version, object, id)).await {
            Err(error) if error.class == Class::Gone => {
                let message = format!("{VENDOR} has no list view {id} of {object} that this user may see");
                return Err(Error {
                    message,
                    ..with_class(error, Class::Configuration, "list_view_not_found")
                });
            }
            view => view?,
        };
        let statement = Statement::parse(&view.query).map_err(|error| Error {
            message: format!("list view \"{label}\": {}", error.message),
            ..error
        })?;
        is_of_object(object, view.sobject_type.as_deref().unwrap_or(statement.object()), &label)?;
        let whose = match view.scope.as_deref() {
            Some("mine") => ", records of the connected user",
            Some(_) | None => "",
        };
        Ok((statement, format!("list view \"{label}\" ({id}{whose})")))
    }

    pub(super) async fn resolve_statement(
        &self,
        object: &ObjectType,
        statement: &Statement,
        label: String,
    ) -> Result<ResolvedSlice, Error> {
        let request = request::query(self.version, "count", &statement.count())?;
        let counted: QueryPage<Value> = self.ask(&request).await?;
        Ok(ResolvedSlice {
            object: object.clone(),
            label,
            size: Some(counted.total_size),
            readiness: Readiness::Ready,
            handle: slice::to_handle(statement)?,
        })
    }
}

fn with_class(error: Error, class: Class, code: &str) -> Error {
    Error { class, code: code.to_owned(), ..error }
}

/// Refuses a selection of another object than the plan's.
pub(super) fn is_of_object(object: &str, holds: &str, label: &str) -> Result<(), Error> {
    if holds.eq_ignore_ascii_case(object) {
        return Ok(());
    }
    let message =
        format!("\"{label}\" is of {holds} and the plan's object is {object}; change one of the two");
    Err(Error::new(Class::Configuration, "selection_of_another_object", message))
}
