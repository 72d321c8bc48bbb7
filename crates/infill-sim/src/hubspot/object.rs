//! The object types of a portal: their names, ids, scopes and default properties.

/// One object type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ObjectType {
    /// The name used in paths.
    pub(crate) plural: &'static str,
    /// The other name that paths take.
    pub(crate) singular: &'static str,
    /// The id, such as `0-1`.
    pub(crate) type_id: &'static str,
    /// The name in error messages.
    pub(crate) upper: &'static str,
    /// Any of these lets a token read.
    pub(crate) read_scopes: &'static [&'static str],
    /// Any of these lets a token write.
    pub(crate) write_scopes: &'static [&'static str],
    /// Properties of an answer when the call names none.
    pub(crate) defaults: &'static [&'static str],
    /// Properties that every answer has.
    pub(crate) always: &'static [&'static str],
    /// Id of the portal's first record.
    pub(crate) first_id: u64,
}

impl ObjectType {
    /// Plural name and id, as fault targets name an object type.
    pub(crate) fn names(&self) -> (&'static str, &'static str) {
        (self.plural, self.type_id)
    }

    /// Whether `name` means this type.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        [self.plural, self.singular, self.type_id].iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// The type id of the portal's one custom object, visits.
pub const CUSTOM_OBJECT: &str = "2-3456789";

/// The types of every portal; their order is that of the store's tables.
pub(crate) static OBJECT_TYPES: [ObjectType; 5] = [
    ObjectType {
        plural: "contacts",
        singular: "contact",
        type_id: "0-1",
        upper: "CONTACT",
        read_scopes: &["crm.objects.contacts.read"],
        write_scopes: &["crm.objects.contacts.write"],
        defaults: &["createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"],
        always: &["createdate", "hs_object_id", "lastmodifieddate"],
        first_id: 100_001,
    },
    ObjectType {
        plural: "companies",
        singular: "company",
        type_id: "0-2",
        upper: "COMPANY",
        read_scopes: &["crm.objects.companies.read"],
        write_scopes: &["crm.objects.companies.write"],
        defaults: &["createdate", "domain", "hs_lastmodifieddate", "hs_object_id", "name"],
        always: &["createdate", "hs_lastmodifieddate", "hs_object_id"],
        first_id: 7_000_001,
    },
    ObjectType {
        plural: "deals",
        singular: "deal",
        type_id: "0-3",
        upper: "DEAL",
        read_scopes: &["crm.objects.deals.read"],
        write_scopes: &["crm.objects.deals.write"],
        defaults: &[
            "amount",
            "closedate",
            "createdate",
            "dealname",
            "dealstage",
            "hs_lastmodifieddate",
            "hs_object_id",
            "pipeline",
        ],
        always: &["createdate", "hs_lastmodifieddate", "hs_object_id"],
        first_id: 8_000_001,
    },
    ObjectType {
        plural: "tickets",
        singular: "ticket",
        type_id: "0-5",
        upper: "TICKET",
        read_scopes: &["tickets"],
        write_scopes: &["tickets"],
        defaults: &[
            "content",
            "createdate",
            "hs_lastmodifieddate",
            "hs_object_id",
            "hs_pipeline",
            "hs_pipeline_stage",
            "hs_ticket_priority",
            "subject",
        ],
        always: &["createdate", "hs_lastmodifieddate", "hs_object_id"],
        first_id: 9_000_001,
    },
    ObjectType {
        plural: CUSTOM_OBJECT,
        singular: "visits",
        type_id: CUSTOM_OBJECT,
        upper: "VISITS",
        read_scopes: &["crm.objects.custom.read"],
        write_scopes: &["crm.objects.custom.write"],
        defaults: &["hs_createdate", "hs_lastmodifieddate", "hs_object_id"],
        always: &["hs_createdate", "hs_lastmodifieddate", "hs_object_id"],
        first_id: 6_000_001,
    },
];
