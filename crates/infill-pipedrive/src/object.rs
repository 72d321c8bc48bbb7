//! Kinds of record and where Pipedrive keeps them.

use infill_crm::Error;
use infill_model::nearest::did_you_mean;
use infill_model::{Class, ObjectType};

/// A kind of record that Infill works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// A person.
    Person,
    /// An organization.
    Organization,
    /// A deal. Archived deals are not listed and not editable.
    Deal,
    /// A lead, whose id is a UUID and whose fields are the deal's; version 1 of the API only.
    Lead,
    /// A product.
    Product,
    /// An activity.
    Activity,
}

impl Object {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Person, Self::Organization, Self::Deal, Self::Lead, Self::Product, Self::Activity];

    /// What plans call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "persons",
            Self::Organization => "organizations",
            Self::Deal => "deals",
            Self::Lead => "leads",
            Self::Product => "products",
            Self::Activity => "activities",
        }
    }

    /// The kind that plans call `object`.
    ///
    /// # Errors
    /// `configuration` with the nearest names when there is none.
    pub fn of(object: &ObjectType) -> Result<Self, Error> {
        let name = object.as_str();
        Self::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name);
            let near = did_you_mean(name, known);
            let message = format!("Pipedrive has no object \"{name}\" here{near}; use {}", known.join(", "));
            Error::new(Class::Configuration, "unknown_object", message)
        })
    }

    /// Where its records are.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Person => "/api/v2/persons",
            Self::Organization => "/api/v2/organizations",
            Self::Deal => "/api/v2/deals",
            Self::Lead => "/v1/leads",
            Self::Product => "/api/v2/products",
            Self::Activity => "/api/v2/activities",
        }
    }

    /// Where its fields are described.
    #[must_use]
    pub const fn fields_path(self) -> &'static str {
        match self {
            Self::Person => "/api/v2/personFields",
            Self::Organization => "/api/v2/organizationFields",
            Self::Deal => "/api/v2/dealFields",
            Self::Lead => "/v1/leadFields",
            Self::Product => "/api/v2/productFields",
            Self::Activity => "/api/v2/activityFields",
        }
    }

    /// Whether only version 1 of the API knows it: pages by number, no reading by ids, custom fields beside the others.
    #[must_use]
    pub const fn is_v1(self) -> bool {
        match self {
            Self::Lead => true,
            Self::Person | Self::Organization | Self::Deal | Self::Product | Self::Activity => false,
        }
    }

    /// Pipedrive's word for filters on it.
    #[must_use]
    pub const fn filter_type(self) -> &'static str {
        match self {
            Self::Person => "people",
            Self::Organization => "org",
            Self::Deal => "deals",
            Self::Lead => "leads",
            Self::Product => "products",
            Self::Activity => "activity",
        }
    }

    /// What plans call the records that filters of this type select; the type itself where Infill does not work on them.
    #[must_use]
    pub fn of_filter_type(filter_type: &str) -> ObjectType {
        let known = Self::ALL.into_iter().find(|known| known.filter_type() == filter_type);
        known.map_or_else(|| ObjectType::from(filter_type), |known| ObjectType::from(known.name()))
    }

    /// Where Pipedrive's screens show a record, where that is documented.
    #[must_use]
    pub const fn screen(self) -> Option<&'static str> {
        match self {
            Self::Person => Some("person"),
            Self::Organization => Some("organization"),
            Self::Deal => Some("deal"),
            Self::Lead | Self::Product | Self::Activity => None,
        }
    }

    /// Whether a text can be the id of such a record.
    #[must_use]
    pub fn is_id(self, id: &str) -> bool {
        if self.is_v1() {
            const UUID: [usize; 5] = [8, 4, 4, 4, 12];
            let parts: Vec<&str> = id.split('-').collect();
            return parts.iter().map(|part| part.len()).eq(UUID)
                && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
        id.parse::<u64>().is_ok() && id.bytes().all(|byte| byte.is_ascii_digit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_known_by_their_plural_and_others_are_refused_with_the_nearest() {
        for object in Object::ALL {
            assert_eq!(Object::of(&object.name().into()).unwrap(), object);
            assert_eq!(Object::of_filter_type(object.filter_type()), object.name().into());
        }
        let error = Object::of(&"person".into()).unwrap_err();
        assert_eq!(error.class, Class::Configuration);
        assert!(error.message.contains("did you mean \"persons\""), "{error}");
        assert_eq!(Object::of_filter_type("projects"), "projects".into());
    }

    #[test]
    fn ids_are_numbers_but_those_of_leads() {
        for (object, id, is_id) in [
            (Object::Person, "12", true),
            (Object::Person, "", false),
            (Object::Person, "+12", false),
            (Object::Person, "a@b.c", false),
            (Object::Lead, "adf21080-0e10-11eb-879b-05d71fb426ec", true),
            (Object::Lead, "adf21080-0e10-11eb-879b-05d71fb426e/", false),
            (Object::Lead, "12", false),
        ] {
            assert_eq!(object.is_id(id), is_id, "{object:?} {id}");
        }
    }
}
