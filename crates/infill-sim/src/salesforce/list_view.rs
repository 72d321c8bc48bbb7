//! List views: what a person calls a list.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::id;
use super::org::Ask;
use super::select::{Reach, Selection, check};
use super::soql;
use super::store::Store;

const DEFAULT_RESULTS: usize = 25;
const MAX_RESULTS: usize = 2_000;

/// A list view; its id is made of its place.
struct ListView {
    object: &'static str,
    developer_name: &'static str,
    label: &'static str,
    /// Columns, the `Id` and the times not among them.
    columns: &'static str,
    /// What follows the object in the query.
    rest: &'static str,
    scope: &'static str,
}

const fn view(
    object: &'static str,
    developer_name: &'static str,
    label: &'static str,
    columns: &'static str,
    rest: &'static str,
) -> ListView {
    ListView { object, developer_name, label, columns, rest, scope: "everything" }
}

const VIEWS: [ListView; 7] = [
    view(
        "Account",
        "AllAccounts",
        "All Accounts",
        "Name, BillingState, Phone, Type, Owner.Name",
        "ORDER BY Name ASC NULLS FIRST, Id ASC NULLS FIRST",
    ),
    view(
        "Account",
        "TechAccounts",
        "Technology Accounts",
        "Name, Industry, Website",
        "WHERE Industry = 'Information Technology' ORDER BY Name ASC NULLS FIRST, Id ASC NULLS FIRST",
    ),
    view(
        "Account",
        "WithoutGreeting",
        "Without Greeting",
        "Name, Greeting__c",
        "WHERE Greeting__c = null ORDER BY Name ASC NULLS FIRST, Id ASC NULLS FIRST",
    ),
    ListView {
        scope: "mine",
        ..view(
            "Account",
            "MyAccounts",
            "My Accounts",
            "Name, Phone",
            "USING SCOPE mine ORDER BY Name ASC NULLS FIRST, Id ASC NULLS FIRST",
        )
    },
    view(
        "Contact",
        "AllContacts",
        "All Contacts",
        "Name, Account.Name, Email, Phone",
        "ORDER BY Name ASC NULLS FIRST, Id ASC NULLS FIRST",
    ),
    view(
        "Lead",
        "AllLeads",
        "All Leads",
        "Name, Company, Status",
        "ORDER BY Name ASC NULLS FIRST, Id ASC NULLS FIRST",
    ),
    view(
        "Opportunity",
        "AllOpportunities",
        "All Opportunities",
        "Name, Account.Name, StageName, Amount",
        "ORDER BY Name ASC NULLS FIRST, Id ASC NULLS FIRST",
    ),
];

impl ListView {
    fn query(&self) -> String {
        format!(
            "SELECT {}, Id, CreatedDate, LastModifiedDate, SystemModstamp FROM {} {}",
            self.columns, self.object, self.rest
        )
    }
}

fn view_id(at: usize) -> String {
    id::id18("00B", 1_000_000_001 + u64::try_from(at).unwrap_or(0))
}

fn find(ask: &Ask<'_>) -> Result<(String, &'static ListView), Refusal> {
    let parsed = id::parse(&ask.call.key).filter(|id| id.prefix == "00B");
    let at =
        parsed.and_then(|id| id.number?.checked_sub(1_000_000_001)).and_then(|at| usize::try_from(at).ok());
    let view =
        at.and_then(|at| VIEWS.get(at)).filter(|view| view.object.eq_ignore_ascii_case(&ask.call.object));
    at.map(view_id).zip(view).ok_or_else(Refusal::not_found)
}

/// `GET /sobjects/{object}/listviews`
pub(crate) fn list(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let name = ask.table(&ask.org.store())?.object.name;
    let base = format!("/services/data/v{}/sobjects/{name}/listviews", ask.call.version_text());
    let views: Vec<Value> = VIEWS
        .iter()
        .enumerate()
        .filter(|(_, view)| view.object == name)
        .map(|(at, view)| {
            let id = view_id(at);
            json!({"id": id, "developerName": view.developer_name, "label": view.label, "soqlCompatible": true,
                   "url": format!("{base}/{id}"), "describeUrl": format!("{base}/{id}/describe"),
                   "resultsUrl": format!("{base}/{id}/results")})
        })
        .collect();
    let body = json!({"done": true, "nextRecordsUrl": null, "size": views.len(), "sobjectType": name, "listviews": views});
    Ok(Answer::value(200, &body))
}

fn columns(store: &Store, view: &ListView, selection: &Selection) -> Vec<Value> {
    let column = |path: &super::select::Path| {
        let name = path.iter().map(|part| &**part).collect::<Vec<_>>().join(".");
        let table = store.table(view.object);
        let field = table
            .filter(|_| path.len() == 1)
            .and_then(|table| table.catalog.find(&name))
            .map(|(_, field)| field);
        let is_hidden = ["Id", "CreatedDate", "LastModifiedDate", "SystemModstamp"].contains(&name.as_str());
        json!({"fieldNameOrPath": name, "label": field.map_or_else(|| name.clone(), |field| field.label.clone()),
               "type": field.map_or("string", |field| field.kind.as_str()), "hidden": is_hidden, "searchable": false,
               "selectListItem": name, "sortDirection": null, "sortIndex": null, "sortable": true,
               "ascendingLabel": null, "descendingLabel": null})
    };
    selection.paths.iter().map(column).collect()
}

/// `GET /sobjects/{object}/listviews/{id}/describe`
pub(crate) fn describe(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let (id, view) = find(ask)?;
    let store = ask.org.store();
    let query = view.query();
    let selection = check(&store, soql::parse(&query)?)?;
    let order = [("Name", "ascending"), ("Id", "ascending")]
        .map(|(field, direction)| json!({"fieldNameOrPath": field, "nullsPosition": "first", "sortDirection": direction}));
    let condition = view.rest.split(" ORDER BY ").next().and_then(|text| text.strip_prefix("WHERE "));
    let condition = condition
        .and_then(|text| text.split_once(" = "))
        .map(|(field, value)| json!({"field": field, "operator": "equals", "values": [value]}));
    let body = json!({
        "id": id, "sobjectType": view.object, "query": query, "scope": view.scope, "scopeEntityId": null,
        "columns": columns(&store, view, &selection), "orderBy": order, "whereCondition": condition.unwrap_or_else(|| json!({"conditions": [], "conjunction": "and"})),
    });
    Ok(Answer::value(200, &body))
}

/// `GET /sobjects/{object}/listviews/{id}/results?limit=&offset=`: cells are texts.
pub(crate) fn results(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let (id, view) = find(ask)?;
    let number = |name: &str, default: usize| {
        ask.query.first(name).map_or(Ok(default), |text| {
            text.parse()
                .map_err(|_| Refusal::new(400, "INVALID_QUERY_VALUE", format!("{name} is not a number")))
        })
    };
    let (limit, offset) = (number("limit", DEFAULT_RESULTS)?, number("offset", 0)?);
    if !(1..=MAX_RESULTS).contains(&limit) {
        let message = format!("limit must be between 1 and {MAX_RESULTS}");
        return Err(Refusal::new(400, "INVALID_QUERY_VALUE", message));
    }
    let store = ask.org.store();
    let selection = check(&store, soql::parse(&view.query())?)?;
    let numbers = selection.run(&store, Reach::Live, ask.now_ms);
    let shown: Vec<u64> = numbers.iter().copied().skip(offset).take(limit).collect();
    let records: Vec<Value> = shown.iter().map(|number| cells(&store, &selection, *number)).collect();
    let body = json!({
        "columns": columns(&store, view, &selection), "developerName": view.developer_name,
        "done": offset + shown.len() >= numbers.len(), "id": id, "label": view.label, "records": records,
        "size": shown.len(),
    });
    Ok(Answer::value(200, &body))
}

fn cells(store: &Store, selection: &Selection, number: u64) -> Value {
    let found =
        store.table(selection.object).and_then(|table| table.get(number).map(|record| (table, record)));
    let Some((table, record)) = found else { return Value::Null };
    let cell = |path: &super::select::Path| {
        let value = store.follow(table, record, path).and_then(|(table, record, id, field)| {
            table.value(record, id, field).map(|value| value.render(field.kind))
        });
        let name = path.iter().map(|part| &**part).collect::<Vec<_>>().join(".");
        json!({"fieldNameOrPath": name, "value": value})
    };
    json!({"columns": selection.paths.iter().map(cell).collect::<Vec<_>>()})
}
