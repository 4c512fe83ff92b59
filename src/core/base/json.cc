#include "core/base/json.h"

// Written with core/jose; see there.
