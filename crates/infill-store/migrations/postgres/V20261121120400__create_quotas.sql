-- One tuple per connection, updated with every call: room for its versions on the same page.
CREATE TABLE quotas (
    connection text PRIMARY KEY,
    state      text
) WITH (fillfactor = 20);
