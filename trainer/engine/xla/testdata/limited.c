// A PJRT plugin that stands in for one that says how much memory its devices have: the one that STANDIN_OF names, but for that. LIMITED_BYTES has
// the limit of each device, with commas between; - is one whose limit is not set, ! one that has no such numbers. With LIMITED_FULL no program finds memory.
// Of a client's options it refuses the one that LIMITED_REFUSES names, in words of its own, and heeds none.
#include "standin.h"

static PJRT_Error *fail(PJRT_Error_Code code, const char *text) { return make(code, text, strlen(text)); }

static PJRT_Error *create(PJRT_Client_Create_Args *a) {
	const char *unwanted = getenv("LIMITED_REFUSES");
	for (size_t i = 0; i < a->num_options && unwanted; i++) {
		const PJRT_NamedValue *o = &a->create_options[i];
		if (o->name_size != strlen(unwanted) || memcmp(o->name, unwanted, o->name_size)) continue;
		return fail(PJRT_Error_Code_INVALID_ARGUMENT, unwanted); // no more than its name
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
	if (!limit || *limit == '!') return fail(PJRT_Error_Code_UNIMPLEMENTED, "no memory statistics");
	a->bytes_in_use = 0;
	a->bytes_limit_is_set = *limit != '-';
	a->bytes_limit = *limit == '-' ? 1 : atoll(limit);
	return NULL;
}

static PJRT_Error *execute(PJRT_LoadedExecutable_Execute_Args *a) {
	if (getenv("LIMITED_FULL")) return fail(PJRT_Error_Code_RESOURCE_EXHAUSTED, "Out of memory while trying to allocate");
	return real->PJRT_LoadedExecutable_Execute(a);
}

const PJRT_Api *GetPjrtApi(void) {
	if (!stand_in()) return NULL;
	mine.PJRT_Client_Create = create;
	mine.PJRT_Device_MemoryStats = stats;
	mine.PJRT_LoadedExecutable_Execute = execute;
	return &mine;
}
