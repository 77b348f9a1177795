// A PJRT plugin that stands in for one of two processes. Two copies of it share one real client of four devices, of which each has
// two to address; a program of all four runs when both have called for it. They find each other by the store, as XLA's client for GPUs does.
#include <pthread.h>
#include <stdio.h>
#include "standin.h"

enum { each = 2, all = 4 };

static int rank; // of this copy

// shared by both copies; rank 0 makes it, and the other gets its address from the store.
static struct shared {
	pthread_mutex_t lock;
	pthread_cond_t done;
	PJRT_Client *client;
	int users;
	PJRT_LoadedExecutable_Execute_Args *called[2];
	unsigned long round;
	PJRT_Error *error;
} *both;

static PJRT_CallbackError make_error = make;
#define FAIL(text) return make(PJRT_Error_Code_INTERNAL, text, strlen(text))

static PJRT_Error *store_put(PJRT_Client_Create_Args *c, const char *key, const void *value, size_t size) {
	PJRT_KeyValuePutCallback_Args a = {.struct_size = PJRT_KeyValuePutCallback_Args_STRUCT_SIZE, .key = key, .key_size = strlen(key),
		.value = value, .value_size = size, .callback_error = &make_error, .user_arg = c->kv_put_user_arg};
	return c->kv_put_callback(&a);
}
static PJRT_Error *store_get(PJRT_Client_Create_Args *c, const char *key, int ms, void *value, size_t size) {
	PJRT_KeyValueGetCallback_Args a = {.struct_size = PJRT_KeyValueGetCallback_Args_STRUCT_SIZE, .key = key, .key_size = strlen(key),
		.timeout_in_ms = ms, .callback_error = &make_error, .user_arg = c->kv_get_user_arg};
	PJRT_Error *e = c->kv_get_callback(&a);
	if (e) return e;
	if (a.value_size != size) FAIL("a value of another size");
	memcpy(value, a.value, size);
	a.value_deleter_callback(a.value);
	return NULL;
}
// refusals of the store are told by the codes that XLA looks at.
static PJRT_Error *try_what_fails(PJRT_Client_Create_Args *c) {
	PJRT_KeyValueTryGetCallback_Args a = {.struct_size = PJRT_KeyValueTryGetCallback_Args_STRUCT_SIZE, .key = "none", .key_size = 4,
		.callback_error = &make_error, .user_arg = c->kv_try_get_user_arg};
	PJRT_Error *e = c->kv_try_get_callback(&a);
	if (!e || own(e)->code != PJRT_Error_Code_NOT_FOUND) FAIL("trying a key that is not there is not NOT_FOUND");
	char none;
	e = store_get(c, "none", 20, &none, 1);
	if (!e || own(e)->code != PJRT_Error_Code_DEADLINE_EXCEEDED) FAIL("waiting for it is not DEADLINE_EXCEEDED");
	e = store_put(c, rank ? "topology/1" : "topology/0", "another", 7);
	if (!e || own(e)->code != PJRT_Error_Code_ALREADY_EXISTS) FAIL("another value is not ALREADY_EXISTS");
	return NULL;
}

static PJRT_Error *create(PJRT_Client_Create_Args *a) {
	int nodes = 0;
	for (size_t i = 0; i < a->num_options; i++) {
		const PJRT_NamedValue *o = &a->create_options[i];
		if (!strncmp(o->name, "node_id", o->name_size)) rank = o->int64_value;
		if (!strncmp(o->name, "num_nodes", o->name_size)) nodes = o->int64_value;
	}
	if (nodes != 2 || !a->kv_get_callback || !a->kv_put_callback || !a->kv_try_get_callback) FAIL("it is not told of two processes");
	PJRT_Error *e;
	if (rank == 0) {
		PJRT_NamedValue count = {.struct_size = PJRT_NamedValue_STRUCT_SIZE, .name = "cpu_device_count", .name_size = 16,
			.type = PJRT_NamedValue_kInt64, .int64_value = all, .value_size = 1};
		PJRT_Client_Create_Args r = {.struct_size = PJRT_Client_Create_Args_STRUCT_SIZE, .create_options = &count, .num_options = 1};
		if ((e = real->PJRT_Client_Create(&r))) return e;
		both = calloc(1, sizeof *both);
		pthread_mutex_init(&both->lock, NULL);
		pthread_cond_init(&both->done, NULL);
		both->client = r.client;
		both->users = 2;
		if ((e = store_put(a, "topology/0", &both, sizeof both))) return e;
		int there;
		if ((e = store_get(a, "topology/1", 20000, &there, sizeof there))) return e;
	} else {
		if ((e = store_get(a, "topology/0", 20000, &both, sizeof both))) return e;
		if ((e = store_put(a, "topology/1", &rank, sizeof rank))) return e;
	}
	a->client = both->client;
	return try_what_fails(a);
}

// note what a process does in a file, where one is named.
static void note(const char *what) {
	FILE *f = getenv("TWIN_LOG") ? fopen(getenv("TWIN_LOG"), "a") : NULL;
	if (!f) return;
	fprintf(f, "%d %s\n", rank, what);
	fclose(f);
}

static PJRT_Error *client_destroy(PJRT_Client_Destroy_Args *a) {
	pthread_mutex_lock(&both->lock);
	note("closes");
	int last = --both->users == 0;
	pthread_mutex_unlock(&both->lock);
	return last ? real->PJRT_Client_Destroy(a) : NULL;
}
static PJRT_Error *addressable(PJRT_Client_AddressableDevices_Args *a) {
	PJRT_Error *e = real->PJRT_Client_AddressableDevices(a);
	if (e) return e;
	a->addressable_devices += each * rank;
	a->num_addressable_devices = each;
	return NULL;
}
static PJRT_Error *process_index(PJRT_Client_ProcessIndex_Args *a) {
	a->process_index = rank;
	return NULL;
}
static PJRT_Error *process_of(PJRT_DeviceDescription_ProcessIndex_Args *a) {
	PJRT_DeviceDescription_Id_Args i = {.struct_size = PJRT_DeviceDescription_Id_Args_STRUCT_SIZE, .device_description = a->device_description};
	PJRT_Error *e = real->PJRT_DeviceDescription_Id(&i);
	if (!e) a->process_index = i.id / each;
	return e;
}

// alone: a program of one process's devices.
static int alone(PJRT_LoadedExecutable *executable) {
	PJRT_LoadedExecutable_AddressableDevices_Args a = {.struct_size = PJRT_LoadedExecutable_AddressableDevices_Args_STRUCT_SIZE, .executable = executable};
	return !real->PJRT_LoadedExecutable_AddressableDevices(&a) && a.num_addressable_devices == each;
}

static PJRT_Error *execute(PJRT_LoadedExecutable_Execute_Args *a) {
	if (alone(a->executable)) {
		note("computes alone");
		return real->PJRT_LoadedExecutable_Execute(a);
	}
	if (a->num_devices != each) FAIL("a process gives values of devices that are not its own");
	pthread_mutex_lock(&both->lock);
	both->called[rank] = a;
	if (both->called[1 - rank]) {
		PJRT_Buffer *const *arguments[all];
		PJRT_Buffer **outputs[all];
		PJRT_Event *events[all];
		for (int d = 0; d < all; d++) {
			arguments[d] = both->called[d / each]->argument_lists[d % each];
			outputs[d] = both->called[d / each]->output_lists[d % each];
		}
		PJRT_LoadedExecutable_Execute_Args whole = *both->called[0];
		whole.num_devices = all;
		whole.argument_lists = arguments;
		whole.output_lists = (PJRT_Buffer **const *)outputs;
		whole.device_complete_events = events;
		both->error = real->PJRT_LoadedExecutable_Execute(&whole);
		for (int d = 0; d < all && !both->error; d++) both->called[d / each]->device_complete_events[d % each] = events[d];
		both->called[0] = both->called[1] = NULL;
		both->round++;
		pthread_cond_broadcast(&both->done);
	} else {
		for (unsigned long now = both->round; both->round == now;) pthread_cond_wait(&both->done, &both->lock);
	}
	int failed = both->error != NULL;
	pthread_mutex_unlock(&both->lock);
	if (failed) FAIL("the program of both failed");
	return NULL;
}

const PJRT_Api *GetPjrtApi(void) {
	if (!stand_in()) return NULL;
	mine.PJRT_Client_Create = create;
	mine.PJRT_Client_Destroy = client_destroy;
	mine.PJRT_Client_AddressableDevices = addressable;
	mine.PJRT_Client_ProcessIndex = process_index;
	mine.PJRT_DeviceDescription_ProcessIndex = process_of;
	mine.PJRT_LoadedExecutable_Execute = execute;
	return &mine;
}
