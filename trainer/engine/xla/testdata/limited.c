// A PJRT plugin that stands in for one that says how much memory its devices have: the one that LIMITED_OF names, but for that. LIMITED_BYTES has
// the limit of each device, with commas between; - is one whose limit is not set, ! one that has no such numbers. With LIMITED_FULL no program finds memory.
// Of a client's options it refuses the one that LIMITED_REFUSES names, in words of its own, and heeds none.
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include "pjrt_c_api.h"

static const PJRT_Api *real;
static PJRT_Api mine;

// An error of this plugin, beside the real one's.
static struct own { PJRT_Error_Code code; const char *text; } full = {PJRT_Error_Code_RESOURCE_EXHAUSTED, "Out of memory while trying to allocate"},
	none = {PJRT_Error_Code_UNIMPLEMENTED, "no memory statistics"}, refused = {PJRT_Error_Code_INVALID_ARGUMENT, NULL};

static struct own *own(const PJRT_Error *e) {
	struct own *mine[] = {&full, &none, &refused};
	for (int i = 0; i < 3; i++)
		if ((PJRT_Error *)mine[i] == e) return mine[i];
	return NULL;
}
static void error_message(PJRT_Error_Message_Args *a) {
	struct own *e = own(a->error);
	if (!e) { real->PJRT_Error_Message(a); return; }
	a->message = e->text;
	a->message_size = strlen(e->text);
}
static PJRT_Error *error_code(PJRT_Error_GetCode_Args *a) {
	struct own *e = own(a->error);
	if (!e) return real->PJRT_Error_GetCode(a);
	a->code = e->code;
	return NULL;
}
static void error_destroy(PJRT_Error_Destroy_Args *a) {
	if (!own(a->error)) real->PJRT_Error_Destroy(a);
}

static PJRT_Error *create(PJRT_Client_Create_Args *a) {
	const char *unwanted = getenv("LIMITED_REFUSES");
	for (size_t i = 0; i < a->num_options && unwanted; i++) {
		const PJRT_NamedValue *o = &a->create_options[i];
		if (o->name_size != strlen(unwanted) || memcmp(o->name, unwanted, o->name_size)) continue;
		refused.text = unwanted; // no more than its name
		return (PJRT_Error *)&refused;
	}
	a->num_options = 0;
	return real->PJRT_Client_Create(a);
}

static PJRT_Error *stats(PJRT_Device_MemoryStats_Args *a) {
	PJRT_Device_GetDescription_Args d = {.struct_size = PJRT_Device_GetDescription_Args_STRUCT_SIZE, .device = a->device};
	PJRT_Error *e = real->PJRT_Device_GetDescription(&d);
	if (e) return e;
	PJRT_DeviceDescription_Id_Args id = {.struct_size = PJRT_DeviceDescription_Id_Args_STRUCT_SIZE, .device_description = d.device_description};
	if ((e = real->PJRT_DeviceDescription_Id(&id))) return e;
	const char *limit = getenv("LIMITED_BYTES");
	for (int i = 0; i < id.id && limit; i++) limit = strchr(limit, ',') ? strchr(limit, ',') + 1 : NULL;
	if (!limit || *limit == '!') return (PJRT_Error *)&none;
	a->bytes_in_use = 0;
	a->bytes_limit_is_set = *limit != '-';
	a->bytes_limit = *limit == '-' ? 1 : atoll(limit);
	return NULL;
}

static PJRT_Error *execute(PJRT_LoadedExecutable_Execute_Args *a) {
	return getenv("LIMITED_FULL") ? (PJRT_Error *)&full : real->PJRT_LoadedExecutable_Execute(a);
}

const PJRT_Api *GetPjrtApi(void) {
	void *handle = dlopen(getenv("LIMITED_OF"), RTLD_NOW | RTLD_LOCAL);
	if (!handle) return NULL;
	const PJRT_Api *(*get)(void) = dlsym(handle, "GetPjrtApi");
	real = get();
	memcpy(&mine, real, real->struct_size < sizeof mine ? real->struct_size : sizeof mine);
	mine.PJRT_Error_Message = error_message;
	mine.PJRT_Error_GetCode = error_code;
	mine.PJRT_Error_Destroy = error_destroy;
	mine.PJRT_Client_Create = create;
	mine.PJRT_Device_MemoryStats = stats;
	mine.PJRT_LoadedExecutable_Execute = execute;
	return &mine;
}
