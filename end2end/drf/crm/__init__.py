"""A small CRM on Django REST framework, the kind of backend Breezeway is put in front of."""
