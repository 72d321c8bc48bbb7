//! Made-up names, places and companies, and the bundled people, from which simulators make their records.

/// The members of the United States Congress; `data/README.md` says where the file comes from.
pub(crate) const CONGRESS: &str = include_str!("../data/contacts_us_congress.csv");

pub(crate) const FIRST_NAMES: [&str; 40] = [
    "Ana",
    "André",
    "Aisha",
    "Bo",
    "Carlos",
    "Chloé",
    "Dmitri",
    "Elif",
    "Emeka",
    "Fatima",
    "Grace",
    "Hana",
    "Ivan",
    "Jürgen",
    "Jesús",
    "Kwame",
    "Lakshmi",
    "Liam",
    "Mariana",
    "Mei",
    "Mohammed",
    "Nadia",
    "Noor",
    "Olga",
    "Paweł",
    "Priya",
    "Quinn",
    "Ravi",
    "Rosa",
    "Søren",
    "Sofía",
    "Tariq",
    "Uma",
    "Vera",
    "Wei",
    "Ximena",
    "Yusuf",
    "Zoë",
    "John \"Jack\"",
    "Mary-Jane",
];

pub(crate) const LAST_NAMES: [&str; 40] = [
    "Abbott",
    "Almeida",
    "Bauer",
    "Beck",
    "Castro",
    "Chen",
    "Díaz-Balart",
    "Dubois",
    "Eriksson",
    "Farouk",
    "García",
    "Haddad",
    "Ito",
    "Jansen",
    "Kaya",
    "Kowalski",
    "Lopez",
    "Müller",
    "Nakamura",
    "Novák",
    "O'Brien",
    "Okafor",
    "Patel",
    "Petrov",
    "Quispe",
    "Rossi",
    "Sánchez",
    "Schmidt",
    "Silva",
    "Smith",
    "Tanaka",
    "Taylor",
    "Ueda",
    "Vargas",
    "Velázquez",
    "Wagner",
    "Wang",
    "Xu",
    "Yılmaz",
    "Zhang",
];

pub(crate) const TITLES: [&str; 10] = [
    "Account Executive",
    "Buyer",
    "CEO",
    "CTO",
    "Engineer",
    "Head of Sales",
    "Marketing Manager",
    "Owner",
    "Recruiter",
    "VP Operations",
];

pub(crate) const PLACES: [(&str, &str); 10] = [
    ("Austin", "TX"),
    ("Berlin", "BE"),
    ("Boston", "MA"),
    ("Chicago", "IL"),
    ("Denver", "CO"),
    ("London", "LND"),
    ("Lyon", "ARA"),
    ("Pune", "MH"),
    ("Seattle", "WA"),
    ("Toronto", "ON"),
];

pub(crate) const COMPANIES: [&str; 25] = [
    "Acorn Freight",
    "Blue Heron Books",
    "Cobalt Dental",
    "Dune Analytics",
    "Ember Bakery",
    "Fjord Shipping",
    "Granite Legal",
    "Harbor Foods",
    "Indigo Textiles",
    "Juniper Health",
    "Kestrel Drones",
    "Lumen Optics",
    "Maple Credit",
    "Nimbus Cloud",
    "Orchard Schools",
    "Pebble Games",
    "Quarry Stone",
    "Ridge Outdoor",
    "Sable Motors",
    "Tern Airlines",
    "Umber Paints",
    "Vale Energy",
    "Willow Care",
    "Xenon Lighting",
    "Yarrow Farms",
];

/// One of `from`, chosen by a number.
pub(crate) fn pick<T>(from: &[T], number: u64) -> Option<&T> {
    let len = u64::try_from(from.len()).unwrap_or(1).max(1);
    from.get(usize::try_from(number % len).unwrap_or(0))
}

/// A mail address made of a name, in ASCII.
pub(crate) fn email(first: &str, last: &str, domain: &str) -> String {
    let plain = |name: &str| -> String { name.to_lowercase().chars().filter_map(ascii).collect() };
    format!("{}.{}@{domain}", plain(first), plain(last))
}

fn ascii(c: char) -> Option<char> {
    match c {
        'a'..='z' | '0'..='9' | '-' => Some(c),
        'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' => Some('a'),
        'é' | 'è' | 'ê' | 'ë' => Some('e'),
        'í' | 'ì' | 'î' | 'ï' | 'ı' => Some('i'),
        'ó' | 'ò' | 'ô' | 'ö' | 'õ' | 'ø' => Some('o'),
        'ú' | 'ù' | 'û' | 'ü' => Some('u'),
        'ñ' => Some('n'),
        'ł' => Some('l'),
        'ç' => Some('c'),
        _ => None,
    }
}
