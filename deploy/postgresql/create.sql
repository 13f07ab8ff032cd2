-- Creates the server's user, its database, and the roles under which requests run. As administrator:
--     DATABASE_PASSWORD=... psql -f create.sql postgresql://postgres@db.example.org/postgres
\set ON_ERROR_STOP on
\getenv password DATABASE_PASSWORD

CREATE ROLE agent_api LOGIN PASSWORD :'password';
CREATE DATABASE agent_api OWNER agent_api ENCODING 'UTF8' TEMPLATE template0;
CREATE ROLE agent_api_request NOLOGIN;
CREATE ROLE agent_api_existence NOLOGIN;
CREATE ROLE agent_api_worker NOLOGIN;
CREATE ROLE agent_api_member NOLOGIN;
CREATE ROLE agent_api_public NOLOGIN;
GRANT agent_api_request, agent_api_existence, agent_api_worker, agent_api_member, agent_api_public TO agent_api;
