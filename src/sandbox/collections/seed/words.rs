//! The words seed rows are made of. People and companies are invented; hosts end in `.example`.

/// Given names, then family names, by origin. Even family names are one tenant's, odd ones the
/// other's.
pub(super) const NAMES: [([&str; 8], [&str; 8]); 12] = [
    (
        ["Maria", "João", "Inês", "Tiago", "Beatriz", "Rui", "Catarina", "Nuno"],
        ["Silva", "Moreira", "Carvalho", "Teixeira", "Almeida", "Pinheiro", "Figueira", "Lobo"],
    ),
    (
        ["Lucía", "Mateo", "Valeria", "Diego", "Carmen", "Andrés", "Elena", "Javier"],
        ["Navarro", "Quintana", "Rojas", "Salazar", "Vega", "Mendoza", "Castillo", "Ibarra"],
    ),
    (
        ["Yuki", "Haruto", "Aiko", "Kenji", "Sakura", "Ren", "Naomi", "Takumi"],
        ["Tanaka", "Mori", "Hayashi", "Ishikawa", "Kobayashi", "Fujita", "Ono", "Shimizu"],
    ),
    (
        ["Chidi", "Amara", "Tunde", "Ngozi", "Femi", "Adaeze", "Kelechi", "Yewande"],
        ["Okafor", "Adeyemi", "Eze", "Balogun", "Nwosu", "Afolabi", "Obi", "Ogunleye"],
    ),
    (
        ["Priya", "Arjun", "Ananya", "Rohan", "Meera", "Vikram", "Kavya", "Sanjay"],
        ["Iyer", "Kapoor", "Nair", "Deshmukh", "Reddy", "Banerjee", "Menon", "Chaudhary"],
    ),
    (
        ["Zofia", "Łukasz", "Agnieszka", "Piotr", "Hanna", "Tomasz", "Maja", "Paweł"],
        ["Nowak", "Zieliński", "Mazur", "Wójcik", "Sikora", "Dąbrowska", "Baran", "Król"],
    ),
    (
        ["Greta", "Jonas", "Frieda", "Moritz", "Annika", "Felix", "Leonie", "Kurt"],
        ["Bergmann", "Vogel", "Krüger", "Steiner", "Lindner", "Hartwig", "Böhm", "Seidel"],
    ),
    (
        ["Layla", "Omar", "Salma", "Karim", "Yasmin", "Tariq", "Hana", "Ziad"],
        ["Mansour", "Khoury", "Nasser", "Saleh", "Darwish", "Farah", "Aziz", "Hamdan"],
    ),
    (
        ["Minjun", "Seoyeon", "Jiho", "Hayun", "Dohyun", "Soomin", "Eunwoo", "Jiwoo"],
        ["Han", "Yoon", "Seo", "Lim", "Kwon", "Jang", "Bae", "Hwang"],
    ),
    (
        ["Elif", "Emre", "Zeynep", "Mert", "Defne", "Kaan", "Aslı", "Burak"],
        ["Öztürk", "Yıldız", "Demir", "Şahin", "Aydın", "Kaplan", "Çelik", "Polat"],
    ),
    (
        ["Astrid", "Lars", "Freja", "Magnus", "Ingrid", "Søren", "Linnea", "Bjørn"],
        ["Dahl", "Lund", "Nygaard", "Holm", "Sandvik", "Ekström", "Hagen", "Sjöberg"],
    ),
    (
        ["Aoife", "Declan", "Róisín", "Callum", "Isla", "Ewan", "Niamh", "Finlay"],
        ["Byrne", "Gallagher", "Kavanagh", "MacLeod", "O'Brien", "Fraser", "Doyle", "Sinclair"],
    ),
];

pub(super) const COMPANIES: &[&str] = &[
    "Umbra Logistics",
    "Northwind Freight",
    "Bluefin Canning",
    "Castellan Tools",
    "Delta Chandlery",
    "Eastgate Shipping",
    "Fulmar Fisheries",
    "Gantry Works",
    "Halyard Marine",
    "Ironbridge Steel",
    "Juniper Foods",
    "Kestrel Packaging",
    "Globex",
    "Initech",
    "Vandelay Imports",
    "Lumen Labs",
    "Marlow Textiles",
    "Nordlys Energy",
    "Orchard Retail",
    "Parcelwise",
    "Alpenglow Sports",
    "Basecamp Rentals",
    "Cairn Footwear",
    "Driftwood Hotels",
    "Evergreen Tours",
    "Fjord Kayaks",
    "Granite Climbing",
    "Hearth and Trail",
    "Isarco Ski School",
    "Jackdaw Cycles",
    "Larkspur Camps",
    "Moraine Guides",
];

pub(super) const NEWCOMERS: &[&str] = &[
    "Quayside Coffee",
    "Redwood Clinics",
    "Saffron Kitchens",
    "Tidepool Studio",
    "Upland Farms",
    "Velvet Press",
    "Windmill Bakery",
    "Yarrow Gardens",
];

pub(super) const AREA_CODES: &[&str] = &["206", "212", "303", "312", "415", "503", "617", "702"];

pub(super) const ROLES: &[&str] = &[
    "Head of Purchasing",
    "Operations Manager",
    "Finance Director",
    "Warehouse Lead",
    "Store Manager",
    "IT Manager",
    "Managing Director",
    "Buyer",
    "Logistics Planner",
    "Marketing Lead",
];

pub(super) const CITIES: &[&str] = &[
    "Lisbon",
    "Porto",
    "Hamburg",
    "Rotterdam",
    "Oslo",
    "Gdańsk",
    "Istanbul",
    "Lagos",
    "Nairobi",
    "Mumbai",
    "Osaka",
    "Seoul",
    "Toronto",
    "Portland",
    "Denver",
    "São Paulo",
    "Dublin",
    "Zürich",
];

pub(super) const PRODUCTS: &[&str] = &[
    "dock sensors",
    "cold storage racks",
    "annual maintenance",
    "handheld scanners",
    "pallet wrap, 12 months",
    "safety training",
    "forklift lease",
    "route planning",
    "rain covers",
    "packing station",
    "trial order",
    "spare parts contract",
    "loading ramp",
    "label printers",
    "winter stock",
    "delivery vans",
    "shelving",
    "insulated boxes",
    "solar lighting",
    "climbing ropes",
    "tents and tarps",
    "display stands",
    "warehouse audit",
];

pub(super) const ERRANDS: &[&str] = &[
    "Call back",
    "Send the offer to",
    "Prepare a demo for",
    "Check delivery dates with",
    "Ask for a reference from",
    "Renew the contract of",
    "Send samples to",
    "Plan a visit to",
    "Clear up an invoice with",
];

pub(super) const NOTES: &[&str] = &[
    "",
    "",
    "Prefers e-mail to calls.",
    "Wants prices for two years.",
    "Met at the spring fair.",
    "Asked about delivery on Saturdays.",
    "Budget is decided in September.",
    "Very happy with the last order.",
    "Compares us with one other supplier.",
    "Needs the offer in euros.",
    "Works from home on Fridays.",
    "Had a damaged delivery in March; replaced at once.",
];

pub(super) const PAGES: &[&str] = &[
    "Home",
    "About us",
    "Delivery and returns",
    "Terms of sale",
    "Privacy",
    "Imprint",
    "Contact",
    "Jobs",
    "Press",
    "Product finder",
    "Size guide",
    "Care and repair",
    "Warranty",
    "Trade customers",
    "Gift cards",
    "Opening hours",
    "Our warehouses",
    "Sustainability",
    "Help centre",
    "How to order",
    "Payment",
    "Newsletter",
    "Events",
    "Spring collection",
    "Winter collection",
    "Clearance",
];

pub(super) const POST_STARTS: [&str; 6] = [
    "What we learned about",
    "A short guide to",
    "Behind the scenes:",
    "Five questions about",
    "New this month:",
    "How our customers handle",
];

pub(super) const POST_SUBJECTS: [&str; 6] = [
    "packing for the rain",
    "shipping in summer",
    "repairing instead of replacing",
    "ordering in bulk",
    "small warehouses",
    "honest delivery dates",
];

pub(super) const TAGS: &[&str] = &[
    "delivery",
    "repair",
    "customers",
    "warehouse",
    "season",
    "people",
    "how-to",
    "behind the scenes",
];

pub(super) const PICTURES: &[&str] = &[
    "Warehouse at dawn",
    "Packing table",
    "Team photo",
    "Delivery van",
    "Shop window",
    "Rope detail",
    "Harbour crane",
    "Mountain hut",
    "Label close-up",
];

pub(super) const FORMS: &[&str] = &[
    "Contact",
    "Request an offer",
    "Newsletter sign-up",
    "Return a product",
    "Repair request",
    "Trade account application",
    "Job application",
    "Event registration",
    "Catalogue order",
    "Delivery complaint",
    "Product review",
    "Visitor survey",
];

pub(super) const TEMPLATES: &[&str] = &[
    "Home page",
    "Article",
    "Product page",
    "Landing page",
    "Search results",
    "Hero section",
    "Two columns",
    "Picture gallery",
    "Price table",
    "Order confirmation",
    "Newsletter",
    "Password reset",
    "Address block",
    "Opening hours block",
    "Footer",
    "Error page",
];

pub(super) const CAMPAIGNS: &[&str] = &[
    "Spring restock",
    "Summer delivery promise",
    "Welcome back",
    "Trade fair follow-up",
    "Repair week",
    "Autumn preview",
    "Winter stock early bird",
    "Refer a colleague",
    "New warehouse opening",
    "Gift season",
    "Clearance days",
    "Customer stories",
    "Safety month",
    "Small business bundle",
    "Anniversary",
];

pub(super) const AUTOMATIONS: &[&str] = &[
    "Welcome series",
    "Offer follow-up",
    "Renewal reminder",
    "Lost basket",
    "Review request",
    "Birthday greeting",
    "Lead hand-over",
    "Win back",
    "Payment reminder",
    "Event thank-you",
    "Trial ending",
    "New catalogue",
];

pub(super) const WEBHOOKS: &[&str] = &[
    "Orders to warehouse",
    "Contacts to newsletter",
    "Deals to dashboard",
    "Invoices to accounting",
    "Forms to inbox",
    "Leads to scoring",
    "Tasks to calendar",
    "Payments to ledger",
    "Stock alerts",
    "Media to archive",
    "Usage to reports",
    "Status page",
];

pub(super) const EVENTS: &[&str] = &[
    "contact.created",
    "contact.updated",
    "deal.won",
    "deal.lost",
    "invoice.paid",
    "invoice.overdue",
    "form.sent",
    "task.done",
];

pub(super) const API_KEYS: &[&str] = &[
    "Warehouse scanner",
    "Website",
    "Reporting",
    "Mobile app",
    "Partner portal",
    "Nightly export",
    "Test bench",
    "Price import",
    "Shop kiosk",
    "Data warehouse",
    "Newsletter sync",
    "Old website",
];

/// What is connected, and its category.
pub(super) const SERVICES: &[(&str, &str)] = &[
    ("Cloudshelf", "Storage"),
    ("Filebarn", "Storage"),
    ("Ledgerly", "Accounting"),
    ("Countwell", "Accounting"),
    ("Pingboard", "Messaging"),
    ("Roomtalk", "Messaging"),
    ("Textbridge", "Messaging"),
    ("Dayplan", "Calendar"),
    ("Meetwise", "Calendar"),
    ("Shipfast", "Shipping"),
    ("Parcelpath", "Shipping"),
    ("Dockline", "Shipping"),
];
