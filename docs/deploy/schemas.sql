-- The store and our own database share one server; each has a schema of its own.
CREATE SCHEMA IF NOT EXISTS agents;
CREATE SCHEMA IF NOT EXISTS dashboard;
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
