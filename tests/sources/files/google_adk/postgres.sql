CREATE TABLE public.adk_internal_metadata (
    key character varying(128) NOT NULL,
    value character varying(256) NOT NULL
);
CREATE TABLE public.app_states (
    app_name character varying(128) NOT NULL,
    state jsonb NOT NULL,
    update_time timestamp without time zone NOT NULL
);
CREATE TABLE public.events (
    id character varying(128) NOT NULL,
    app_name character varying(128) NOT NULL,
    user_id character varying(128) NOT NULL,
    session_id character varying(128) NOT NULL,
    invocation_id character varying(256) NOT NULL,
    "timestamp" timestamp without time zone NOT NULL,
    event_data jsonb
);
CREATE TABLE public.sessions (
    app_name character varying(128) NOT NULL,
    user_id character varying(128) NOT NULL,
    id character varying(128) NOT NULL,
    state jsonb NOT NULL,
    create_time timestamp without time zone NOT NULL,
    update_time timestamp without time zone NOT NULL
);
CREATE TABLE public.user_states (
    app_name character varying(128) NOT NULL,
    user_id character varying(128) NOT NULL,
    state jsonb NOT NULL,
    update_time timestamp without time zone NOT NULL
);
COPY public.adk_internal_metadata (key, value) FROM stdin;
schema_version	1
\.
COPY public.app_states (app_name, state, update_time) FROM stdin;
app	{}	2026-11-28 06:16:21.897535
\.
COPY public.events (id, app_name, user_id, session_id, invocation_id, "timestamp", event_data) FROM stdin;
e617573b-ee6e-4758-a43a-a7108b99a4c9	app	user	s1	e-b6335fca-8933-47ff-a207-89ff6f8170e7	2026-11-28 06:16:24.370365	{"id": "e617573b-ee6e-4758-a43a-a7108b99a4c9", "author": "user", "actions": {"state_delta": {}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "user", "parts": [{"text": "one"}]}, "node_info": {"path": ""}, "timestamp": 1795846584.3703647, "invocation_id": "e-b6335fca-8933-47ff-a207-89ff6f8170e7"}
cb39ea10-7cbe-481c-b220-967a0a80d3af	app	user	s1	e-b6335fca-8933-47ff-a207-89ff6f8170e7	2026-11-28 06:16:25.145092	{"id": "cb39ea10-7cbe-481c-b220-967a0a80d3af", "author": "helper", "actions": {"state_delta": {}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "model", "parts": [{"function_call": {"id": "adk-870e354b-0503-40c9-9fd3-87979dc213bd", "args": {"what": "one"}, "name": "remember"}}]}, "node_info": {"path": "helper@1"}, "timestamp": 1795846585.1450922, "invocation_id": "e-b6335fca-8933-47ff-a207-89ff6f8170e7", "long_running_tool_ids": []}
30817323-6cfb-4123-9495-4f5af1b0da71	app	user	s1	e-b6335fca-8933-47ff-a207-89ff6f8170e7	2026-11-28 06:16:25.313568	{"id": "30817323-6cfb-4123-9495-4f5af1b0da71", "author": "helper", "actions": {"state_delta": {"last": "one", "has_one": true}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "user", "parts": [{"function_response": {"id": "adk-870e354b-0503-40c9-9fd3-87979dc213bd", "name": "remember", "response": {"done": "one"}}}]}, "node_info": {"path": "helper@1"}, "timestamp": 1795846585.3135676, "invocation_id": "e-b6335fca-8933-47ff-a207-89ff6f8170e7"}
29e46746-1a84-436c-b0ad-11e64be20f8a	app	user	s1	e-b6335fca-8933-47ff-a207-89ff6f8170e7	2026-11-28 06:16:25.446214	{"id": "29e46746-1a84-436c-b0ad-11e64be20f8a", "author": "helper", "actions": {"state_delta": {"answer": "saw 1"}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "model", "parts": [{"text": "saw 1"}]}, "node_info": {"path": "helper@1"}, "timestamp": 1795846585.446214, "invocation_id": "e-b6335fca-8933-47ff-a207-89ff6f8170e7"}
7218f02f-ecb4-4644-930c-7c1153bec687	app	user	s1	e-3b674ba7-5701-4ba8-9ab6-560068affbd8	2026-11-28 06:16:25.679813	{"id": "7218f02f-ecb4-4644-930c-7c1153bec687", "author": "user", "actions": {"state_delta": {}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "user", "parts": [{"text": "two"}]}, "node_info": {"path": ""}, "timestamp": 1795846585.6798131, "invocation_id": "e-3b674ba7-5701-4ba8-9ab6-560068affbd8"}
35a18810-e849-4960-b689-1359d558c8b5	app	user	s1	e-3b674ba7-5701-4ba8-9ab6-560068affbd8	2026-11-28 06:16:25.839684	{"id": "35a18810-e849-4960-b689-1359d558c8b5", "author": "helper", "actions": {"state_delta": {}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "model", "parts": [{"function_call": {"id": "adk-f72f1d1f-0af0-403e-a312-c42f708ec7ff", "args": {"what": "two"}, "name": "remember"}}]}, "node_info": {"path": "helper@1"}, "timestamp": 1795846585.8396838, "invocation_id": "e-3b674ba7-5701-4ba8-9ab6-560068affbd8", "long_running_tool_ids": []}
56bd9013-efac-4a0a-8c4d-3e1604fddba8	app	user	s1	e-3b674ba7-5701-4ba8-9ab6-560068affbd8	2026-11-28 06:16:26.009577	{"id": "56bd9013-efac-4a0a-8c4d-3e1604fddba8", "author": "helper", "actions": {"state_delta": {"last": "two", "has_two": true}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "user", "parts": [{"function_response": {"id": "adk-f72f1d1f-0af0-403e-a312-c42f708ec7ff", "name": "remember", "response": {"done": "two"}}}]}, "node_info": {"path": "helper@1"}, "timestamp": 1795846586.0095766, "invocation_id": "e-3b674ba7-5701-4ba8-9ab6-560068affbd8"}
0500fae3-ba41-4b2a-92ca-9fa3ac602302	app	user	s1	e-3b674ba7-5701-4ba8-9ab6-560068affbd8	2026-11-28 06:16:26.21055	{"id": "0500fae3-ba41-4b2a-92ca-9fa3ac602302", "author": "helper", "actions": {"state_delta": {"answer": "saw 2"}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "model", "parts": [{"text": "saw 2"}]}, "node_info": {"path": "helper@1"}, "timestamp": 1795846586.21055, "invocation_id": "e-3b674ba7-5701-4ba8-9ab6-560068affbd8"}
9295ab65-2ba7-4fd6-8807-d14548381c69	app	user	s1	e-12da6034-039c-438e-920a-4f2215884c8d	2026-11-28 06:16:26.471916	{"id": "9295ab65-2ba7-4fd6-8807-d14548381c69", "author": "user", "actions": {"state_delta": {}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "user", "parts": [{"text": "three"}]}, "node_info": {"path": ""}, "timestamp": 1795846586.471916, "invocation_id": "e-12da6034-039c-438e-920a-4f2215884c8d"}
d5e5adca-457a-4caa-b03b-dd784c5bf346	app	user	s1	e-12da6034-039c-438e-920a-4f2215884c8d	2026-11-28 06:16:26.643521	{"id": "d5e5adca-457a-4caa-b03b-dd784c5bf346", "author": "helper", "actions": {"state_delta": {}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "model", "parts": [{"function_call": {"id": "adk-0a7294fd-60d5-4a8e-832a-030afb68ce88", "args": {"what": "three"}, "name": "remember"}}]}, "node_info": {"path": "helper@1"}, "timestamp": 1795846586.643521, "invocation_id": "e-12da6034-039c-438e-920a-4f2215884c8d", "long_running_tool_ids": []}
859a8b50-3fe3-4a59-9557-a0f02c637aba	app	user	s1	e-12da6034-039c-438e-920a-4f2215884c8d	2026-11-28 06:16:26.743999	{"id": "859a8b50-3fe3-4a59-9557-a0f02c637aba", "author": "helper", "actions": {"state_delta": {"last": "three", "has_three": true}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "user", "parts": [{"function_response": {"id": "adk-0a7294fd-60d5-4a8e-832a-030afb68ce88", "name": "remember", "response": {"done": "three"}}}]}, "node_info": {"path": "helper@1"}, "timestamp": 1795846586.7439988, "invocation_id": "e-12da6034-039c-438e-920a-4f2215884c8d"}
2eeaaab4-bae3-4615-ba0f-6e893969f272	app	user	s1	e-12da6034-039c-438e-920a-4f2215884c8d	2026-11-28 06:16:26.919321	{"id": "2eeaaab4-bae3-4615-ba0f-6e893969f272", "author": "helper", "actions": {"state_delta": {"answer": "saw 3"}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "model", "parts": [{"text": "saw 3"}]}, "node_info": {"path": "helper@1"}, "timestamp": 1795846586.9193213, "invocation_id": "e-12da6034-039c-438e-920a-4f2215884c8d"}
9a3a5834-0b23-4c31-8b35-9ff7033801d6	app	user	other	e-d693e3fe-04e5-49b2-a68c-50be6f0274ee	2026-11-28 06:16:47.031299	{"id": "9a3a5834-0b23-4c31-8b35-9ff7033801d6", "author": "user", "actions": {"state_delta": {}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "user", "parts": [{"text": "zero"}]}, "node_info": {"path": ""}, "timestamp": 1795846607.0312986, "invocation_id": "e-d693e3fe-04e5-49b2-a68c-50be6f0274ee"}
6a1833e6-810e-496d-a289-c784e168400d	app	user	other	e-d693e3fe-04e5-49b2-a68c-50be6f0274ee	2026-11-28 06:16:47.483257	{"id": "6a1833e6-810e-496d-a289-c784e168400d", "author": "helper", "actions": {"state_delta": {}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "model", "parts": [{"function_call": {"id": "adk-da2fd5cc-fa19-48e5-adb8-a5e924fe4ebb", "args": {"what": "zero"}, "name": "remember"}}]}, "node_info": {"path": "helper@1"}, "timestamp": 1795846607.4832573, "invocation_id": "e-d693e3fe-04e5-49b2-a68c-50be6f0274ee", "long_running_tool_ids": []}
916b10ec-bc0b-4166-a78f-9624668f3aac	app	user	other	e-d693e3fe-04e5-49b2-a68c-50be6f0274ee	2026-11-28 06:16:47.54625	{"id": "916b10ec-bc0b-4166-a78f-9624668f3aac", "author": "helper", "actions": {"state_delta": {"last": "zero", "has_zero": true}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "user", "parts": [{"function_response": {"id": "adk-da2fd5cc-fa19-48e5-adb8-a5e924fe4ebb", "name": "remember", "response": {"done": "zero"}}}]}, "node_info": {"path": "helper@1"}, "timestamp": 1795846607.5462499, "invocation_id": "e-d693e3fe-04e5-49b2-a68c-50be6f0274ee"}
5bb8627a-fc97-49e4-a814-a8fa763d50bd	app	user	other	e-d693e3fe-04e5-49b2-a68c-50be6f0274ee	2026-11-28 06:16:47.603284	{"id": "5bb8627a-fc97-49e4-a814-a8fa763d50bd", "author": "helper", "actions": {"state_delta": {"answer": "saw 1"}, "artifact_delta": {}, "requested_auth_configs": {}, "requested_tool_confirmations": {}}, "content": {"role": "model", "parts": [{"text": "saw 1"}]}, "node_info": {"path": "helper@1"}, "timestamp": 1795846607.603284, "invocation_id": "e-d693e3fe-04e5-49b2-a68c-50be6f0274ee"}
\.
COPY public.sessions (app_name, user_id, id, state, create_time, update_time) FROM stdin;
app	user	s1	{"last": "three", "answer": "saw 3", "tenant": "acme", "has_one": true, "has_two": true, "has_three": true}	2026-11-28 06:16:21.983418	2026-11-28 06:16:26.919321
app	user	other	{"last": "zero", "answer": "saw 1", "tenant": "acme", "has_zero": true}	2026-11-28 06:16:45.461085	2026-11-28 06:16:47.603284
\.
COPY public.user_states (app_name, user_id, state, update_time) FROM stdin;
app	user	{}	2026-11-28 06:16:21.897535
\.
ALTER TABLE ONLY public.adk_internal_metadata
    ADD CONSTRAINT adk_internal_metadata_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.app_states
    ADD CONSTRAINT app_states_pkey PRIMARY KEY (app_name);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id, app_name, user_id, session_id);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (app_name, user_id, id);
ALTER TABLE ONLY public.user_states
    ADD CONSTRAINT user_states_pkey PRIMARY KEY (app_name, user_id);
CREATE INDEX idx_events_app_user_session_ts_id ON public.events USING btree (app_name, user_id, session_id, "timestamp" DESC, id DESC);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_app_name_user_id_session_id_fkey FOREIGN KEY (app_name, user_id, session_id) REFERENCES public.sessions(app_name, user_id, id) ON DELETE CASCADE;
