#pragma once

// Sallyport: authentication for WebSocket connections. The socket ends when the login ends.

#include "sallyport/admin.h"
#include "sallyport/app.h"
#include "sallyport/awaitable.h"
#include "sallyport/connection.h"
#include "sallyport/credentials.h"
#include "sallyport/failure.h"
#include "sallyport/literals.h"
#include "sallyport/log.h"
#include "sallyport/principal.h"
#include "sallyport/request.h"
#include "sallyport/route.h"
#include "sallyport/verifier.h"
#include "sallyport/verifiers.h"
