CREATE TABLE public.agno_runs (
    run_id character varying NOT NULL,
    session_id character varying NOT NULL,
    run_type character varying NOT NULL,
    agent_id character varying,
    team_id character varying,
    workflow_id character varying,
    user_id character varying,
    parent_run_id character varying,
    status character varying,
    run_index bigint,
    run_data jsonb NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint
);
CREATE TABLE public.agno_schema_versions (
    table_name character varying NOT NULL,
    version character varying NOT NULL,
    created_at character varying NOT NULL,
    updated_at character varying
);
CREATE TABLE public.agno_sessions (
    session_id character varying NOT NULL,
    session_type character varying NOT NULL,
    agent_id character varying,
    team_id character varying,
    workflow_id character varying,
    user_id character varying,
    session_data jsonb,
    agent_data jsonb,
    team_data jsonb,
    workflow_data jsonb,
    metadata jsonb,
    summary jsonb,
    created_at bigint NOT NULL,
    updated_at bigint
);
COPY public.agno_runs (run_id, session_id, run_type, agent_id, team_id, workflow_id, user_id, parent_run_id, status, run_index, run_data, created_at, updated_at) FROM stdin;
07dd76f7-82a0-490c-bb73-8dd66de90c59	s1	agent	helper	\N	\N	\N	\N	COMPLETED	0	{"input": {"input_content": "one"}, "model": "counting", "tools": [{"result": "done", "metrics": {"duration": 0.0004979600016667973, "end_time": 1795846630.2361314, "start_time": 1795846630.2356334}, "answered": null, "confirmed": null, "tool_args": {"what": "one"}, "tool_name": "put", "created_at": 1795846630, "approval_id": null, "child_run_id": null, "tool_call_id": "call_1", "approval_type": null, "tool_call_error": false, "confirmation_note": null, "user_input_schema": null, "parent_tool_call_id": null, "requires_user_input": null, "stop_after_tool_call": false, "user_feedback_schema": null, "requires_confirmation": null, "external_execution_silent": null, "external_execution_required": null}], "run_id": "07dd76f7-82a0-490c-bb73-8dd66de90c59", "status": "COMPLETED", "content": "saw 1", "metrics": {"duration": 0.28420219799954793, "time_to_first_token": 0.18595398899924476}, "agent_id": "helper", "messages": [{"id": "f72723d4-95da-49de-b71b-b7658437f64c", "role": "user", "content": "one", "created_at": 1795846630, "from_history": false, "stop_after_tool_call": false}, {"id": "41ce79e5-3753-4253-8b22-8b689a8ab520", "role": "assistant", "created_at": 1795846630, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "put", "arguments": "{\\"what\\": \\"one\\"}"}}], "from_history": false, "stop_after_tool_call": false}, {"id": "df82deda-9115-4ebf-a95c-c6ec75c43da1", "role": "tool", "content": "done", "tool_args": {"what": "one"}, "tool_name": "put", "created_at": 1795846630, "from_history": false, "tool_call_id": "call_1", "tool_call_error": false, "stop_after_tool_call": false}, {"id": "4cc9ebc4-aabb-4bd7-8b4b-d65db363b676", "role": "assistant", "content": "saw 1", "metrics": {"time_to_first_token": 0.00003911800013156608}, "created_at": 1795846630, "from_history": false, "stop_after_tool_call": false}], "agent_name": "Helper", "created_at": 1795846630, "session_id": "s1", "content_type": "str", "session_state": {"cart": ["one"]}}	1795846630	1795846630
066844c1-04a1-4f35-a30d-98ff478cf197	s1	agent	helper	\N	\N	\N	\N	COMPLETED	1	{"input": {"input_content": "two"}, "model": "counting", "tools": [{"result": "done", "metrics": {"duration": 0.000342669001838658, "end_time": 1795846630.5320225, "start_time": 1795846630.5316799}, "answered": null, "confirmed": null, "tool_args": {"what": "two"}, "tool_name": "put", "created_at": 1795846630, "approval_id": null, "child_run_id": null, "tool_call_id": "call_5", "approval_type": null, "tool_call_error": false, "confirmation_note": null, "user_input_schema": null, "parent_tool_call_id": null, "requires_user_input": null, "stop_after_tool_call": false, "user_feedback_schema": null, "requires_confirmation": null, "external_execution_silent": null, "external_execution_required": null}], "run_id": "066844c1-04a1-4f35-a30d-98ff478cf197", "status": "COMPLETED", "content": "saw 2", "metrics": {"duration": 0.0011427230019762646, "time_to_first_token": 0.0005622380012937356}, "agent_id": "helper", "messages": [{"id": "62b907de-8985-4f0d-8aa3-4cdd2ce48204", "role": "user", "content": "two", "created_at": 1795846630, "from_history": false, "stop_after_tool_call": false}, {"id": "7a97bf3a-bc89-4bf7-abdb-e314a0f35247", "role": "assistant", "created_at": 1795846630, "tool_calls": [{"id": "call_5", "type": "function", "function": {"name": "put", "arguments": "{\\"what\\": \\"two\\"}"}}], "from_history": false, "stop_after_tool_call": false}, {"id": "be91cee2-e7a7-465c-b197-cea603fb9019", "role": "tool", "content": "done", "tool_args": {"what": "two"}, "tool_name": "put", "created_at": 1795846630, "from_history": false, "tool_call_id": "call_5", "tool_call_error": false, "stop_after_tool_call": false}, {"id": "3b50e59d-dcad-4095-8bf3-9dc99f4a5ec3", "role": "assistant", "content": "saw 2", "metrics": {"time_to_first_token": 0.000015975998394424096}, "created_at": 1795846630, "from_history": false, "stop_after_tool_call": false}], "agent_name": "Helper", "created_at": 1795846630, "session_id": "s1", "content_type": "str", "session_state": {"cart": ["one", "two"]}}	1795846630	1795846630
57693cd1-4fda-4439-9217-acdae2847d69	s1	agent	helper	\N	\N	\N	\N	COMPLETED	2	{"input": {"input_content": "three"}, "model": "counting", "tools": [{"result": "done", "metrics": {"duration": 0.00034363200029474683, "end_time": 1795846630.564977, "start_time": 1795846630.5646334}, "answered": null, "confirmed": null, "tool_args": {"what": "three"}, "tool_name": "put", "created_at": 1795846630, "approval_id": null, "child_run_id": null, "tool_call_id": "call_9", "approval_type": null, "tool_call_error": false, "confirmation_note": null, "user_input_schema": null, "parent_tool_call_id": null, "requires_user_input": null, "stop_after_tool_call": false, "user_feedback_schema": null, "requires_confirmation": null, "external_execution_silent": null, "external_execution_required": null}], "run_id": "57693cd1-4fda-4439-9217-acdae2847d69", "status": "COMPLETED", "content": "saw 3", "metrics": {"duration": 0.0011632540008577053, "time_to_first_token": 0.0005780159990536049}, "agent_id": "helper", "messages": [{"id": "d6690877-21c3-41c7-b997-0e12a54e5390", "role": "user", "content": "three", "created_at": 1795846630, "from_history": false, "stop_after_tool_call": false}, {"id": "231d08ae-466f-45e2-9c6e-3319c4509cf7", "role": "assistant", "created_at": 1795846630, "tool_calls": [{"id": "call_9", "type": "function", "function": {"name": "put", "arguments": "{\\"what\\": \\"three\\"}"}}], "from_history": false, "stop_after_tool_call": false}, {"id": "208caa4a-4e1a-4f7c-ac23-5852a6a06cb2", "role": "tool", "content": "done", "tool_args": {"what": "three"}, "tool_name": "put", "created_at": 1795846630, "from_history": false, "tool_call_id": "call_9", "tool_call_error": false, "stop_after_tool_call": false}, {"id": "f30873a5-beae-42fc-b851-8ace4d6c4972", "role": "assistant", "content": "saw 3", "metrics": {"time_to_first_token": 0.000016104000678751618}, "created_at": 1795846630, "from_history": false, "stop_after_tool_call": false}], "agent_name": "Helper", "created_at": 1795846630, "session_id": "s1", "content_type": "str", "session_state": {"cart": ["one", "two", "three"]}}	1795846630	1795846630
4dd55e5a-f062-447c-84e8-be0191fb9fbc	other	agent	helper	\N	\N	\N	\N	COMPLETED	0	{"input": {"input_content": "zero"}, "model": "counting", "tools": [{"result": "done", "metrics": {"duration": 0.0004483070006244816, "end_time": 1795846638.3005905, "start_time": 1795846638.3001423}, "answered": null, "confirmed": null, "tool_args": {"what": "zero"}, "tool_name": "put", "created_at": 1795846638, "approval_id": null, "child_run_id": null, "tool_call_id": "call_1", "approval_type": null, "tool_call_error": false, "confirmation_note": null, "user_input_schema": null, "parent_tool_call_id": null, "requires_user_input": null, "stop_after_tool_call": false, "user_feedback_schema": null, "requires_confirmation": null, "external_execution_silent": null, "external_execution_required": null}], "run_id": "4dd55e5a-f062-447c-84e8-be0191fb9fbc", "status": "COMPLETED", "content": "saw 1", "metrics": {"duration": 0.21765962300196406, "time_to_first_token": 0.09557386199958273}, "agent_id": "helper", "messages": [{"id": "b12771db-3d1d-47ef-8f8d-52a89fda4ff7", "role": "user", "content": "zero", "created_at": 1795846638, "from_history": false, "stop_after_tool_call": false}, {"id": "a2eba6b5-7db0-44a7-87ab-aceaefe0c2fb", "role": "assistant", "created_at": 1795846638, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "put", "arguments": "{\\"what\\": \\"zero\\"}"}}], "from_history": false, "stop_after_tool_call": false}, {"id": "43550011-8c2e-413c-ad15-4934bbb1e8e0", "role": "tool", "content": "done", "tool_args": {"what": "zero"}, "tool_name": "put", "created_at": 1795846638, "from_history": false, "tool_call_id": "call_1", "tool_call_error": false, "stop_after_tool_call": false}, {"id": "e9cfe536-ff46-41e1-883a-0c9e39e0c35b", "role": "assistant", "content": "saw 1", "metrics": {"time_to_first_token": 0.00003712499892571941}, "created_at": 1795846638, "from_history": false, "stop_after_tool_call": false}], "agent_name": "Helper", "created_at": 1795846638, "session_id": "other", "content_type": "str", "session_state": {"cart": ["zero"]}}	1795846638	1795846638
\.
COPY public.agno_schema_versions (table_name, version, created_at, updated_at) FROM stdin;
agno_sessions	3.0.0	2026-11-28T06:17:10.424635	2026-11-28T06:17:10.424635
agno_runs	3.0.0	2026-11-28T06:17:10.499748	2026-11-28T06:17:10.499748
\.
COPY public.agno_sessions (session_id, session_type, agent_id, team_id, workflow_id, user_id, session_data, agent_data, team_data, workflow_data, metadata, summary, created_at, updated_at) FROM stdin;
s1	agent	helper	\N	\N	\N	{"session_state": {"cart": ["one", "two", "three"]}, "session_metrics": {}}	{"name": "Helper", "model": {"id": "counting"}, "agent_id": "helper"}	\N	\N	null	null	1795846629	1795846630
other	agent	helper	\N	\N	\N	{"session_state": {"cart": ["zero"]}, "session_metrics": {}}	{"name": "Helper", "model": {"id": "counting"}, "agent_id": "helper"}	\N	\N	null	null	1795846638	1795846638
\.
ALTER TABLE ONLY public.agno_runs
    ADD CONSTRAINT agno_runs_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY public.agno_schema_versions
    ADD CONSTRAINT agno_schema_versions_pkey PRIMARY KEY (table_name);
ALTER TABLE ONLY public.agno_sessions
    ADD CONSTRAINT agno_sessions_pkey PRIMARY KEY (session_id);
CREATE INDEX idx_agno_runs_agent_id ON public.agno_runs USING btree (agent_id);
CREATE INDEX idx_agno_runs_created_at ON public.agno_runs USING btree (created_at);
CREATE INDEX idx_agno_runs_run_type ON public.agno_runs USING btree (run_type);
CREATE INDEX idx_agno_runs_session_id ON public.agno_runs USING btree (session_id);
CREATE INDEX idx_agno_runs_session_id_run_index ON public.agno_runs USING btree (session_id, run_index);
CREATE INDEX idx_agno_runs_status ON public.agno_runs USING btree (status);
CREATE INDEX idx_agno_runs_team_id ON public.agno_runs USING btree (team_id);
CREATE INDEX idx_agno_runs_user_id ON public.agno_runs USING btree (user_id);
CREATE INDEX idx_agno_runs_workflow_id ON public.agno_runs USING btree (workflow_id);
CREATE INDEX idx_agno_schema_versions_created_at ON public.agno_schema_versions USING btree (created_at);
CREATE INDEX idx_agno_sessions_created_at ON public.agno_sessions USING btree (created_at);
CREATE INDEX idx_agno_sessions_session_type ON public.agno_sessions USING btree (session_type);
ALTER TABLE ONLY public.agno_runs
    ADD CONSTRAINT agno_runs_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.agno_sessions(session_id) ON DELETE CASCADE;
